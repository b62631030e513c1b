use codegen::diag::Sources;
#[test]
fn base() {
    let base = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad/base");
    let mut s = Sources::default();
    s.add("spec/app.yaml", std::fs::read_to_string(base.join("app.yaml")).unwrap());
    let mut names: Vec<_> = std::fs::read_dir(base.join("entities")).unwrap().flatten().map(|e| e.path()).collect();
    names.sort();
    for p in names { s.add(format!("spec/entities/{}", p.file_name().unwrap().to_str().unwrap()), std::fs::read_to_string(&p).unwrap()); }
    match codegen::load_sources(&s) { Ok(m) => { println!("{}", serde_json::to_string_pretty(&m).unwrap()); }, Err(e) => panic!("{e}") }
}
