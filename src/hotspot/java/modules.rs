//! The module that a class is in, by the Module object of its mirror. JDK 8 has none.

use crate::hotspot::Vm;
use crate::hotspot::classes::Klass;

/// A named module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Module {
    /// `java.base`.
    pub name: String,
    /// `17.0.15`, where it has one.
    pub version: Option<String>,
}

impl Module {
    /// `java.base@17.0.15`.
    pub fn text(&self) -> String {
        match &self.version {
            Some(version) => format!("{}@{version}", self.name),
            None => self.name.clone(),
        }
    }
}

impl Vm<'_> {
    /// Whether classes are in modules at all.
    pub fn has_modules(&self) -> bool {
        self.classes.named("java/lang/Module").is_some()
    }

    /// The named module of a class; that of an array's element class.
    pub fn module(&self, klass: &Klass) -> Option<Module> {
        let module = self.oop_field(klass.mirror, "module").filter(|m| *m != 0)?;
        let name = self.oop_field(module, "name").filter(|n| *n != 0)?;
        let version = || {
            let descriptor = self.oop_field(module, "descriptor")?;
            let version = self.oop_field(descriptor, "version").filter(|v| *v != 0)?;
            self.string(self.oop_field(version, "version")?)
        };
        Some(Module { name: self.string(name)?, version: version() })
    }
}
