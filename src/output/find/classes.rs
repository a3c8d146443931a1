//! `is`: the classes whose objects are instances of those that a pattern names.

use std::collections::HashMap;

use crate::graph::{Class, ClassKind, ObjectGraph};
use crate::output::pattern::Pattern;

/// No compiler makes so many supers: a circle is damage.
const SUPERS: usize = 256;
/// What all arrays are besides arrays of their elements' supers.
const OF_ARRAYS: [&str; 3] = ["java.lang.Object", "java.lang.Cloneable", "java.io.Serializable"];

/// The classes of a pattern.
pub(super) struct Instances {
    /// By number of class whether its objects are instances of one of them.
    pub fits: Vec<bool>,
    /// Those of them that may be interfaces, where it is not known which classes implement these.
    pub unknown: Vec<String>,
}

/// Finds them. Each class is looked at once.
pub(super) fn instances(graph: &impl ObjectGraph, pattern: &Pattern) -> Instances {
    let classes = graph.classes();
    let own: Vec<bool> = classes.iter().map(|c| pattern.fits(&c.name)).collect();
    let is_own = |class: &u32| own.get(*class as usize).copied().unwrap_or(false);
    let implements = |c: &Class| c.interfaces.iter().flatten().any(is_own);
    let below = (0..).zip(classes).map(|(n, c)| is_own(&n) || implements(c)).collect();
    let mut fits = with_subclasses(classes, below);
    let elements = Elements::new(classes);
    for (fits, class) in fits.iter_mut().zip(classes) {
        *fits |= class.kind != ClassKind::Instance && elements.array_fits(class, pattern);
    }
    let known = |c: &Class| c.interfaces.is_some();
    let unknown = match classes.iter().all(known) {
        true => Vec::new(),
        false => perhaps_interfaces(graph, &own),
    };
    Instances { fits, unknown }
}

/// Those of the classes that may be interfaces: Object is their super, they have no fields, and no class extends them.
fn perhaps_interfaces(graph: &impl ObjectGraph, own: &[bool]) -> Vec<String> {
    let classes = graph.classes();
    let mut extended = vec![false; classes.len()];
    for class in classes.iter().filter_map(|c| c.super_class) {
        if let Some(extended) = extended.get_mut(class as usize) {
            *extended = true;
        }
    }
    let is_object = |c: &Class| c.super_class.is_none();
    let below_object = |c: &Class| {
        let above = c.super_class.and_then(|s| classes.get(s as usize));
        c.kind == ClassKind::Instance && above.is_some_and(is_object)
    };
    let all = (0..).zip(classes).zip(own.iter().zip(extended));
    let perhaps = all.filter(|((n, c), (own, extended))| {
        **own && !extended && below_object(c) && graph.fields(*n).is_empty()
    });
    perhaps.map(|((_, c), _)| c.name.clone()).collect()
}

/// The classes, and those below them.
fn with_subclasses(classes: &[Class], own: Vec<bool>) -> Vec<bool> {
    let mut known: Vec<Option<bool>> = own.iter().map(|own| own.then_some(true)).collect();
    let mut chain = Vec::new();
    for class in 0..classes.len() {
        let mut at = Some(class);
        let mut fits = false;
        while let Some(number) = at.filter(|n| *n < classes.len()) {
            if let Some(known) = known[number] {
                fits = known;
                break;
            }
            // Said before what is above it is known, so that a circle ends.
            known[number] = Some(false);
            chain.push(number);
            at = classes[number].super_class.map(|s| s as usize);
        }
        for number in chain.drain(..) {
            known[number] = Some(fits);
        }
    }
    known.into_iter().map(|k| k == Some(true)).collect()
}

/// Classes by name and loader: an array class has its elements' loader.
struct Elements<'a> {
    classes: &'a [Class],
    by_name: HashMap<(&'a str, Option<u64>), u32>,
}

impl<'a> Elements<'a> {
    fn new(classes: &'a [Class]) -> Elements<'a> {
        let of = |(n, c): (u32, &'a Class)| ((c.name.as_str(), c.loader), n);
        Elements { classes, by_name: (0..).zip(classes).map(of).collect() }
    }

    /// Whether an array class is one that the pattern names: an `Integer[]` is a `Number[]` and a `Comparable[]`, an `int[][]` is an
    /// `Object[]` (JLS 4.10.3), whether such a class is loaded or not.
    fn array_fits(&self, array: &Class, pattern: &Pattern) -> bool {
        let element = array.name.trim_end_matches("[]");
        let depth = (array.name.len() - element.len()) / 2;
        let fits =
            |name: &str, depth: usize| pattern.fits(&(name.to_owned() + &"[]".repeat(depth)));
        if (0..depth).any(|depth| OF_ARRAYS.iter().any(|name| fits(name, depth))) {
            return true;
        }
        let class = |number: u32| self.classes.get(number as usize);
        let first = self.by_name.get(&(element, array.loader)).copied();
        let next = |number: &u32| class(*number)?.super_class;
        let mut supers = std::iter::successors(first, next).take(SUPERS).filter_map(class);
        let interfaces = first.and_then(class).and_then(|c| c.interfaces.as_deref());
        let mut interfaces = interfaces.unwrap_or_default().iter().filter_map(|i| class(*i));
        supers.any(|c| fits(&c.name, depth)) || interfaces.any(|c| fits(&c.name, depth))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::made::Made;

    #[test]
    fn arrays_are_arrays_of_their_elements_supers() {
        let mut made = Made::new();
        for (name, of) in [
            ("java.lang.Number", "java.lang.Object"),
            ("java.lang.Integer", "java.lang.Number"),
            ("java.lang.Integer[]", "java.lang.Object"),
            ("java.lang.Integer[][]", "java.lang.Object"),
            ("int[]", "java.lang.Object"),
            ("int[][]", "java.lang.Object"),
            ("java.util.List", "java.lang.Object"),
        ] {
            made.class(name, of, "");
        }
        let is = |pattern: &str| {
            let of = instances(&made, &pattern.parse().expect("a pattern"));
            let named = made.classes().iter().zip(of.fits).filter(|(_, fits)| *fits);
            (named.map(|(c, _)| c.name.clone()).collect::<Vec<_>>().join(" "), of.unknown)
        };
        let of = |pattern: &str| is(pattern).0;
        assert_eq!(of("java.lang.Number"), "java.lang.Number java.lang.Integer");
        assert_eq!(of("java.lang.Number[]"), "java.lang.Integer[]");
        assert_eq!(of("java.lang.Number[][]"), "java.lang.Integer[][]");
        assert_eq!(of("java.lang.Object[]"), "java.lang.Integer[] java.lang.Integer[][] int[][]");
        assert_eq!(of("java.io.Serializable[]"), "java.lang.Integer[][] int[][]");
        assert_eq!(
            of("java.lang.Cloneable"),
            "java.lang.Integer[] java.lang.Integer[][] int[] int[][]"
        );
        assert_eq!(of("int[]"), "int[]");
        assert_eq!(
            of("java.lang.Object"),
            made.classes().iter().map(|c| &*c.name).collect::<Vec<_>>().join(" ")
        );
        // Number is extended; a List may be an interface; an Integer is no direct heir of Object.
        assert_eq!(is("java.lang.Number").1, Vec::<String>::new());
        assert_eq!(is("java.lang.Integer").1, Vec::<String>::new());
        assert_eq!(is("java.util.L*").1, ["java.util.List"]);
    }
}
