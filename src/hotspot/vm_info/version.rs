//! Which HotSpot this is, in its own words. For people: nothing is decided by it.

use crate::corefile::memory::Memory;
use crate::vmstructs::{Field, Fields};

/// Abstract_VM_Version.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Version {
    /// `_s_vm_release`, such as `17.0.15+6-Debian-1deb12u1`; in JDK 8 HotSpot's own, `25.504-b01`.
    pub release: Option<String>,
    /// `_s_internal_vm_info_string`: build, date, compiler.
    pub info: Option<String>,
}

impl Version {
    /// Reads both strings, where they are in the core.
    pub fn read(mem: &Memory, f: &Fields) -> Version {
        let text = |field: Field| {
            let p = mem.u64(field.opt()?).ok()?;
            mem.string(p).ok().filter(|s| !s.is_empty())
        };
        Version { release: text(f.vm_release), info: text(f.vm_info) }
    }

    /// The JDK's own version, which the build's text has in `JRE (...)`.
    pub fn java(&self) -> Option<&str> {
        let (_, rest) = self.info.as_deref()?.split_once("JRE (")?;
        rest.split_once(')').map(|(version, _)| version)
    }

    /// The JDK's feature release: 8 of `1.8.0_504`, 17 of `17.0.15+6`.
    pub fn jdk(&self) -> Option<u32> {
        let version = self.java().or(self.release.as_deref())?;
        let version = version.strip_prefix("1.").unwrap_or(version);
        version.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    }

    /// How errors and reports name the VM.
    pub fn text(&self) -> String {
        text(self.release.as_deref().unwrap_or("of an unknown release"), self.jdk(), self.java())
    }
}

/// `HotSpot 17.0.15+6`; where that number is not the JDK's, the JDK first: `JDK 8 (1.8.0_504),
/// HotSpot's build 25.504-b01`.
pub fn text(release: &str, jdk: Option<u32>, java: Option<&str>) -> String {
    match (jdk, java) {
        (Some(jdk), Some(java)) if !release.starts_with(&jdk.to_string()) => {
            format!("JDK {jdk} ({java}), HotSpot's build {release}")
        }
        _ => format!("HotSpot {release}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hotspot_25_may_be_of_jdk_8() {
        let version = |release: &str, jre: &str| Version {
            release: Some(release.into()),
            info: Some(format!(
                "OpenJDK 64-Bit Server VM ({release}) for linux-amd64 JRE ({jre}), built"
            )),
        };
        let old = version("25.504-b01", "1.8.0_504-8u504-ga-b01");
        assert_eq!(old.jdk(), Some(8));
        assert_eq!(old.text(), "JDK 8 (1.8.0_504-8u504-ga-b01), HotSpot's build 25.504-b01");
        let new = version("25.0.1+8-LTS", "25.0.1+8-LTS");
        assert_eq!((new.jdk(), new.text()), (Some(25), "HotSpot 25.0.1+8-LTS".into()));
        assert_eq!(Version { info: None, ..new }.jdk(), Some(25));
        assert_eq!(Version::default().text(), "HotSpot of an unknown release");
    }
}
