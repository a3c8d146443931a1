//! The schemas of the commands' JSON (docs/schema), and the check of an answer against one.

use std::fs;
use std::path::Path;

use boon::{Compiler, Schemas};
use serde_json::Value;

/// All schemas by name.
pub fn all_schemas() -> Vec<(String, Value)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schema");
    let all = fs::read_dir(&dir).expect("docs/schema").flatten();
    let mut all: Vec<_> = all
        .map(|e| {
            let name = e.path().file_stem().expect("a name").to_string_lossy().into_owned();
            let text = fs::read_to_string(e.path()).expect("a schema");
            (name, serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}")))
        })
        .collect();
    all.sort_by(|a, b| a.0.cmp(&b.0));
    assert!(all.len() >= 11, "only {} schemas", all.len());
    all
}

/// The schemas, closed: a field that is in none of them is an error here, though not for readers.
pub struct Checker {
    compiler: Compiler,
    schemas: Schemas,
}

impl Checker {
    pub fn new() -> Checker {
        let mut compiler = Compiler::new();
        for (name, mut schema) in all_schemas() {
            close(&mut schema);
            compiler.add_resource(&url(&name), schema).expect("a resource");
        }
        Checker { compiler, schemas: Schemas::new() }
    }

    /// Panics if `value` does not keep to it.
    pub fn check(&mut self, schema: &str, value: &Value, whose: &str) {
        let index = self.compiler.compile(&url(schema), &mut self.schemas).expect("a schema");
        if let Err(e) = self.schemas.validate(value, index) {
            panic!("{whose}: {e:#}");
        }
    }
}

fn url(name: &str) -> String {
    format!("file:///schema/{name}.json")
}

/// No object may have a field that is not named.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(all) => {
            if all.contains_key("properties") {
                all.insert("additionalProperties".into(), false.into());
            }
            all.values_mut().for_each(close);
        }
        Value::Array(all) => all.iter_mut().for_each(close),
        _ => {}
    }
}
