//! The search on code made by hand.

use super::*;
use crate::vmstructs::rebuilt::image::tests::library;

/// Where the code of the library made for the tests lies, and its data.
const CODE: u64 = 0x7000_0000_1000;
const DATA: u64 = 0x7000_0000_2000;

fn followed(code: &[u8]) -> (Vec<Write>, Result<(), Stopped>) {
    let file = library(code);
    let image = Image::new(&file, 0x7000_0000_0000).expect("an image");
    follow(&image, CODE, &mut usize::MAX.clone())
}

#[test]
fn all_initialisers_have_one_limit() {
    // nop, nop, ret
    let file = library(&[0x90, 0x90, 0xc3]);
    let image = Image::new(&file, 0x7000_0000_0000).expect("an image");
    let mut left = 5;
    assert_eq!(follow(&image, CODE, &mut left).1, Ok(()));
    assert_eq!(left, 2);
    assert!(follow(&image, CODE, &mut left).1.is_err());
    assert_eq!(left, 0);
}

fn known(word: u64) -> Value {
    value(Some(word))
}

#[test]
fn moves_of_constants_are_followed() {
    let code = [
        &[0x55, 0x48, 0x89, 0xe5][..], // push rbp; mov rbp, rsp
        // movq [rip + 0xff1], 0x140: from 0x100f on, so 0x2000
        &[0x48, 0xc7, 0x05, 0xf1, 0x0f, 0, 0, 0x40, 1, 0, 0],
        &[0xb8, 7, 0, 0, 0],                   // mov eax, 7
        &[0x48, 0x8d, 0x0d, 0xf5, 0x0f, 0, 0], // lea rcx, [rip + 0xff5]: 0x2010
        &[0x48, 0x89, 0x01],                   // mov [rcx], rax
        &[0xe8, 0, 0, 0, 0],                   // call, of what is not known
        &[0x48, 0x89, 0x05, 0xf2, 0x0f, 0, 0], // mov [rip + 0xff2], rax: 0x201c
        &[0xc9, 0xc3],                         // leave; ret
    ]
    .concat();
    let (writes, end) = followed(&code);
    assert_eq!(end, Ok(()));
    let at = |at, bytes| Write { at, len: 8, bytes };
    assert_eq!(writes[0], at(DATA, known(0x140)));
    assert_eq!(writes[1], at(DATA + 0x10, known(7)));
    assert_eq!((writes[2].len, writes[2].bytes), (8, None), "a call's answer is not known");
    assert_eq!(writes.len(), 3);
}

#[test]
fn vectors_are_joined_of_words() {
    let code = [
        &[0xb8, 7, 0, 0, 0][..],               // mov eax, 7
        &[0x66, 0x48, 0x0f, 0x6e, 0xc0],       // movq xmm0, rax
        &[0x66, 0x0f, 0x6c, 0xc0],             // punpcklqdq xmm0, xmm0
        &[0x0f, 0x29, 0x05, 0xeb, 0x0f, 0, 0], // movaps [rip + 0xfeb], xmm0: 0x2000
        &[0xc3],
    ]
    .concat();
    let (writes, end) = followed(&code);
    assert_eq!(end, Ok(()));
    let mut both = [0; 16];
    (both[0], both[8]) = (7, 7);
    assert_eq!(writes, [Write { at: DATA, len: 16, bytes: Some(both) }]);
}

#[test]
fn a_guard_is_taken_as_it_was() {
    let code = [
        &[0x80, 0x3d, 0x09, 0x10, 0, 0, 0][..], // cmp byte [rip + 0x1009], 0: 0x2010
        &[0x74, 1],                             // je over the next one
        &[0xf4],                                // hlt
        &[0xc3],
    ]
    .concat();
    assert_eq!(followed(&code).1, Ok(()));
}

/// What stops with which words, and at which instruction.
#[test]
fn all_else_ends_the_search() {
    for (code, words, at) in [
        (&[0xeb, 0xfe][..], "no end", CODE), // jmp $
        (&[0x0f, 0x05], "Syscall is more than a move", CODE),
        (&[0xff, 0xe0], "Jmp is more than a move", CODE), // jmp rax
        (&[0x48, 0x89, 0x08], "a write to where is not known", CODE), // mov [rax], rcx
        (&[0xf3, 0x48, 0xab], "Stosq is more than a move", CODE),
        (&[0x0f, 0x84, 0, 0, 0, 0], "a branch by what is not known", CODE), // je
        (&[0x5d, 0xc3], "its stack is too large", CODE),                    // pop; ret
        (&[0x48, 0x81, 0xec, 0, 0, 0, 0x10], "its stack is too large", CODE),
        (&[0x50, 0xc3], "it returns elsewhere", CODE + 1), // push; ret
        (&[0x06], "no instruction", CODE),
        // mov qword [rip - 0x100b], 1: into the headers, and far behind the data.
        (&[0x48, 0xc7, 5, 0xf5, 0xef, 0xff, 0xff, 1, 0, 0, 0], "outside of the library", CODE),
        (&[0x48, 0xc7, 5, 0, 0, 0, 0x7f, 1, 0, 0, 0], "outside of the library", CODE),
        // mov qword [rip + 0x1ff1], 1: half beyond the end of the data.
        (&[0x48, 0xc7, 5, 0xf1, 0x1f, 0, 0, 1, 0, 0, 0], "outside of the library", CODE),
    ] {
        let (writes, end) = followed(code);
        let stopped = end.expect_err(words);
        assert!(stopped.what.contains(words), "{code:x?}: {}", stopped.what);
        assert_eq!(stopped.at, at, "{words}");
        assert!(writes.is_empty(), "{words}: {writes:?}");
    }
    // What runs off its end.
    let (_, end) = followed(&[0x90; 0x1000]);
    assert!(end.expect_err("no end").what.contains("out of the code"));
}
