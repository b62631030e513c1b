//! A real service beside a test, started by a script of `script/`: it prints its port first, and ends when its input
//! is closed.

use super::root;
use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

/// Ends with the test and deletes what it has stored.
pub struct Companion {
    pub port: u16,
    child: Child,
}

impl Companion {
    /// `script` is the name of the file in `script/`.
    pub fn start(script: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut child = Command::new(root().join("script").join(script))
            .args(arguments)
            .envs(variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("script/{script} does not start: {error}"));
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let port = lines.map_while(Result::ok).next();
        let port =
            port.unwrap_or_else(|| panic!("script/{script} printed no port: see its output"));
        let port = port.parse().expect("a port");
        Self { port, child }
    }
}

impl Drop for Companion {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
