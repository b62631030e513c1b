//! `cargo gen`
fn main() {
    match codegen::load(std::path::Path::new(".")) { Ok(m) => println!("{} entities", m.entities.len()), Err(e) => { eprintln!("{e}"); std::process::exit(1) } }
}
