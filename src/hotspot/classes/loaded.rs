//! All loaded classes, read once from their loaders' lists (ClassLoaderDataGraph), and found by address.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use super::field_layout::{FieldInfo, FieldReader};
use super::klass::{Kind, Klass, Size, shape};
use crate::error::{Error, Result};
use crate::hotspot::Reader;
use crate::hotspot::eras::has_known_class_links;
use crate::hotspot::unexported::{CLD_IS_ANONYMOUS, CLD_KLASSES};
use crate::vmstructs::{Fields, Tables};

/// A class's supers; javac and the JVM allow far fewer in practice.
const MAX_DEPTH: usize = 10_000;

/// All loaded classes.
#[derive(Debug, Default)]
pub struct Classes {
    all: Vec<Klass>,
    by_addr: HashMap<u64, u32>,
    /// The boot loader's, by name: the first of each.
    boot: HashMap<String, u32>,
}

impl Classes {
    /// Walks ClassLoaderDataGraph. Klasses that are damaged are told to `damaged`.
    pub fn read(r: &Reader, tables: &Tables, damaged: &mut Vec<String>) -> Result<Classes> {
        let f = r.fields;
        let readers = FieldReader::new(r.mem, tables, f)?;
        let mut out = Classes::default();
        let links = Links::find(f)?;
        let cld_next = f.cld_next.get()?;
        let unreadable = || Error::unreadable("ClassLoaderDataGraph::_head");
        let mut cld = r.mem.u64(f.cld_head.get()?).map_err(unreadable())?;
        let mut met = HashSet::new();
        while cld != 0 {
            if !met.insert(cld) {
                damaged.push(format!("the list of class loaders runs in a circle at {cld:#x}"));
                break;
            }
            let loader = match r.object(cld, f.cld_class_loader) {
                Err(e @ Error::MissingField { .. }) => return Err(e),
                loader => loader.unwrap_or(0),
            };
            let held = r.mem.u8(cld.wrapping_add(links.held)).unwrap_or(0) != 0;
            let mut klass = r.mem.u64(cld.wrapping_add(links.klasses)).unwrap_or(0);
            while klass != 0 {
                if !met.insert(klass) {
                    damaged.push(format!("the class list of the loader at {cld:#x} leads astray"));
                    break;
                }
                if links.derived && r.mem.u64(klass.wrapping_add(links.back)) != Ok(cld) {
                    damaged.push(format!("the class list of the loader at {cld:#x} leads astray"));
                    break;
                }
                match read_klass(r, &readers, tables, klass) {
                    Ok(Some(k)) => {
                        let is_boot = loader == 0 && !held;
                        out.push(Klass { loader, is_boot, has_own_loader_data: held, ..k });
                    }
                    Ok(None) => {}
                    Err(e @ Error::MissingField { .. }) => return Err(e),
                    Err(e) => damaged.push(e.to_string()),
                }
                klass = match r.mem.u64(klass.wrapping_add(links.next)) {
                    Ok(next) => next,
                    Err(fault) => {
                        damaged.push(format!("the class list of the loader at {cld:#x}: {fault}"));
                        0
                    }
                };
            }
            cld = match r.mem.u64(cld.wrapping_add(cld_next)) {
                Ok(next) => next,
                Err(fault) => {
                    damaged.push(format!("the list of class loaders at {cld:#x}: {fault}"));
                    0
                }
            };
        }
        if out.named("java/lang/Object").is_none() || out.named("java/lang/Class").is_none() {
            return Err(Error::Corrupt(
                "java.lang.Object or java.lang.Class is not among the loaded classes: \
                 the JVM had not finished to start, or its metadata is not in the core"
                    .into(),
            ));
        }
        out.find_special_sizes(r)?;
        let mut mirrors = HashSet::new();
        for k in &mut out.all {
            if matches!(k.kind, Kind::ObjArray | Kind::FlatArray) {
                k.is_refined = !mirrors.insert(k.mirror);
            }
        }
        let unknown: Vec<&str> =
            out.all.iter().filter(|k| out.is_opaque(k)).map(|k| k.name.as_str()).collect();
        if let Some(first) = unknown.first() {
            damaged.push(format!(
                "{} classes hold value objects flat (JEP 401) whose layout is not known, {first} \
                 for one; null stands in their place",
                unknown.len()
            ));
        }
        Ok(out)
    }

    fn push(&mut self, klass: Klass) {
        let index = self.all.len() as u32;
        let Entry::Vacant(place) = self.by_addr.entry(klass.addr) else { return };
        place.insert(index);
        if klass.is_boot {
            self.boot.entry(klass.name.clone()).or_insert(index);
        }
        self.all.push(klass);
    }

    /// java.lang.Class and StackChunk instances differ in size one from another.
    fn find_special_sizes(&mut self, r: &Reader) -> Result<()> {
        let oop_size = r.mem.i32(r.fields.class_oop_size.get()?).unwrap_or(0);
        let class = self.named("java/lang/Class").map(|k| k.addr);
        let chunk = self.all.iter().find(|k| k.name == "jdk/internal/vm/StackChunk");
        let chunk = chunk.map(|k| {
            let size = k.fields.iter().find(|i| r.symbol(i.name).as_deref() == Some("size"));
            (k.addr, size.map(|i| u64::from(i.offset)))
        });
        let oop_size =
            u64::try_from(oop_size).ok().filter(|o| (4..1024).contains(o)).ok_or_else(|| {
                Error::Corrupt(format!("java_lang_Class::_oop_size_offset is {oop_size}"))
            })?;
        for k in &mut self.all {
            match (k.size, chunk) {
                (Size::Fixed(base), _) if Some(k.addr) == class => {
                    k.size = Size::Mirror { base, size_offset: oop_size };
                }
                (Size::Fixed(base), Some((addr, Some(size_offset)))) if addr == k.addr => {
                    k.size = Size::StackChunk { base, size_offset };
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Whether something lies flat in its objects that cannot be read.
    fn is_opaque(&self, k: &Klass) -> bool {
        let known = |klass: u64| self.get(klass).is_some_and(|v| v.value.is_some());
        k.flat_fields().any(|(_, flat)| !known(flat.klass))
            || k.kind == Kind::FlatArray && k.flat_elements.is_none_or(|e| !known(e.klass))
    }

    /// All of them, in the order of the class loaders' lists.
    pub fn all(&self) -> &[Klass] {
        &self.all
    }

    /// Those that are classes of their own to Java.
    pub fn java(&self) -> impl Iterator<Item = &Klass> + Clone {
        self.all.iter().filter(|k| !k.is_refined)
    }

    /// The klass at this address.
    pub fn get(&self, addr: u64) -> Option<&Klass> {
        self.by_addr.get(&addr).and_then(|&i| self.all.get(i as usize))
    }

    /// Its place in [`Classes::all`].
    pub fn number(&self, addr: u64) -> Option<u32> {
        self.by_addr.get(&addr).copied()
    }

    /// The boot loader's class of this name.
    pub fn named(&self, name: &str) -> Option<&Klass> {
        self.boot.get(name).and_then(|&i| self.all.get(i as usize))
    }

    /// The class and its supers, nearest first.
    pub fn with_supers<'a>(&'a self, klass: &'a Klass) -> impl Iterator<Item = &'a Klass> {
        let next = |k: &&'a Klass| k.super_klass.and_then(|s| self.get(s));
        std::iter::successors(Some(klass), next).take(MAX_DEPTH)
    }

    /// The field that `klass` or the nearest super declares under this name, injected ones too.
    pub fn field(&self, r: &Reader, klass: &Klass, name: &str) -> Option<FieldInfo> {
        self.with_supers(klass)
            .flat_map(|k| &k.fields)
            .find(|i| r.symbol(i.name).as_deref() == Some(name))
            .copied()
    }
}

/// Where ClassLoaderData and Klass keep the lists of classes.
pub(in crate::hotspot) struct Links {
    /// ClassLoaderData::_klasses.
    pub(in crate::hotspot) klasses: u64,
    /// ClassLoaderData::_has_class_mirror_holder, `_is_anonymous` before 16.
    held: u64,
    /// Klass::_next_link.
    pub(in crate::hotspot) next: u64,
    /// Klass::_class_loader_data, that leads back from a class to its list.
    pub(in crate::hotspot) back: u64,
    /// The tables lack one of them (8): each class must prove that it belongs to the list.
    derived: bool,
}

impl Links {
    pub(in crate::hotspot) fn find(f: &Fields) -> Result<Links> {
        let known = (f.cld_klasses.opt(), f.cld_has_mirror_holder.opt(), f.klass_next_link.opt());
        let back = f.klass_loader_data.get();
        if let (Some(klasses), Some(held), Some(next)) = known {
            let back = back.unwrap_or(0);
            return Ok(Links { klasses, held, next, back, derived: false });
        }
        if !has_known_class_links(f) {
            f.cld_klasses.get()?;
            f.cld_has_mirror_holder.get()?;
        }
        Ok(Links {
            klasses: known.0.unwrap_or(CLD_KLASSES),
            held: known.1.unwrap_or(CLD_IS_ANONYMOUS),
            next: known.2.map_or_else(|| f.klass_next_sibling.get().map(|o| o + 8), Ok)?,
            back: back?,
            derived: true,
        })
    }
}

fn read_klass(
    r: &Reader,
    fields: &FieldReader,
    tables: &Tables,
    addr: u64,
) -> Result<Option<Klass>> {
    let f = r.fields;
    let fault = || Error::unreadable(format!("the Klass at {addr:#x}"));
    let at = |offset: u64| addr.wrapping_add(offset);
    let layout_helper = r.mem.i32(at(f.klass_layout_helper.get()?)).map_err(fault())?;
    let name_symbol = r.mem.u64(at(f.klass_name.get()?)).map_err(fault())?;
    let name = r
        .symbol(name_symbol)
        .ok_or_else(|| Error::Corrupt(format!("the Klass at {addr:#x} has no readable name")))?;
    let super_klass = r.mem.u64(at(f.klass_super.get()?)).map_err(fault())?;
    let mirror = r.object(addr, f.klass_mirror)?;
    let (kind, size) = shape(&r.pointers, layout_helper)
        .ok_or_else(|| Error::Corrupt(format!("{name} has layout helper {layout_helper:#x}")))?;
    let (mut init_state, mut own, mut bottom) = (1, Vec::new(), None);
    match kind {
        Kind::Instance => {
            init_state = r.mem.u8(at(f.ik_init_state.get()?)).map_err(fault())?;
            own = fields.read(addr)?;
        }
        Kind::ObjArray | Kind::FlatArray => {
            bottom = Some(r.mem.u64(at(f.obj_array_bottom.get()?)).map_err(fault())?);
        }
        Kind::TypeArray(_) => {}
    }
    // Before it is loaded a class has no mirror, and HotSpot's dump leaves it out.
    if init_state < 1 || mirror == 0 {
        return Ok(None);
    }
    if let Size::Fixed(bytes) = size {
        let width = |i: &FieldInfo| r.pointers.value_size(i.kind);
        let out = own
            .iter()
            .find(|i| !i.is_static && i.flat.is_none() && u64::from(i.offset) + width(i) > bytes);
        if let Some(i) = out {
            return Err(Error::Corrupt(format!(
                "{name} has {bytes} bytes and a field at {}",
                i.offset
            )));
        }
    }
    Ok(Some(Klass {
        addr,
        name_symbol,
        name,
        kind,
        size,
        super_klass: (super_klass != 0).then_some(super_klass),
        mirror,
        loader: 0,
        is_boot: false,
        has_own_loader_data: false,
        init_state,
        bottom,
        is_refined: false,
        value: (kind == Kind::Instance).then(|| r.value_layout(addr)).flatten(),
        flat_elements: (kind == Kind::FlatArray).then(|| r.flat_elements(tables, addr)).flatten(),
        fields: own,
    }))
}
