//! A real part that a script of `script/` puts beside a test: it says its port first, and ends with its input.

use super::root;
use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

/// Ends with the test, and takes along what it has stored.
pub struct Companion {
    pub port: u16,
    child: Child,
}

impl Companion {
    /// `script` by its name alone.
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
        let port = port.unwrap_or_else(|| panic!("no port: see what script/{script} said"));
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
