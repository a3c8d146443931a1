//! The language by itself.

use super::Query;

fn wrong(text: &str) -> (usize, String) {
    let mistake = Query::parse(text, 20).expect_err(text);
    (mistake.at, mistake.what)
}

#[test]
fn mistakes_point_at_their_place() {
    for (text, at, what) in [
        ("", 0, "ends where a test"),
        ("class", 5, "ends where one of = !="),
        ("class=", 6, "ends where a value"),
        ("class=a and", 11, "ends where a test"),
        ("class=a nd retained>5", 8, "and or or is expected"),
        ("(class=a", 8, "ends where )"),
        ("class=a)", 7, "and or or is expected"),
        ("class=a and retaned>5", 12, "no property is called retaned"),
        ("retained>lots", 9, "a number goes here"),
        ("retained ~ 5", 9, "fits text, not numbers"),
        ("class > 5", 6, "no order"),
        ("strength=feeble", 9, "strong, soft, weak, final, phantom, garbage"),
        ("text ~ \"[\"", 7, "no regular expression"),
        ("text = \"abc", 7, "a value, with both quotes"),
        ("field.a..b = 5", 0, "field's name is missing"),
        ("field.a < \"x\"", 10, "no order"),
        ("retained>1Q", 9, "a number goes here"),
        ("not", 3, "ends where a test"),
        ("is", 2, "ends where a value"),
        ("ünicode=1", 0, "no property is called"),
    ] {
        let (found, said) = wrong(text);
        assert_eq!(found, at, "{text}: {said}");
        assert!(said.contains(what), "{text}: {said}");
    }
    let deep = "(".repeat(100_000);
    assert!(wrong(&deep).1.contains("more than 200"));
    let deep = "not ".repeat(100_000);
    assert!(wrong(&deep).1.contains("more than 200"));
}

#[test]
fn a_mark_stands_below_the_place() {
    let text = "class=ü\tand retaned>5";
    let mistake = Query::parse(text, 20).expect_err("a mistake");
    let said = mistake.text(text);
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[1], "  class=ü and retaned>5");
    assert_eq!(lines[2], "              ^");
}

#[test]
fn what_is_read() {
    for text in [
        "class=com.acme.*",
        "class = byte[] and length>=1K",
        "is java.util.AbstractMap or instanceof java.lang.Thread",
        "not (strength=weak or strength!=garbage) and retained > 1.5MB",
        "field.owner.name ~ \"^x\\d+$\" and field.this$0 != null",
        "class=Foo$$Lambda/0x0000+*",
        "text='it is \"so\"' or label!~'x'",
        "  class  =  \"a b\"  ",
        "field.flag=true and field.d < -1.5 and field.l = 0x10",
    ] {
        if let Err(mistake) = Query::parse(text, 20) {
            panic!("{}", mistake.text(text));
        }
    }
}
