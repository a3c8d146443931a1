//! What tests/java/Epoch.java writes, as a core has it.

use rjcore::corefile::CoreFile;

/// The magic longs of tests/java/Epoch.java.
const MAGIC: [u64; 2] = [0x7261_6a63_6f72_6531, 0x6570_6f63_6820_6f6e];

/// The array of Epoch as the core has it.
pub fn epochs(core: &CoreFile, mb: usize) -> Vec<u64> {
    // Its length stands before it, unlike where the constants lie that a compiler works with.
    let length = (((mb as u32) << 20) / 8).to_le_bytes().into_iter();
    let magic: Vec<u8> = length.chain(MAGIC.iter().flat_map(|m| m.to_le_bytes())).collect();
    for (start, end) in core.memory().present(0, u64::MAX) {
        let bytes = core.memory().slice(start, end - start).expect("present");
        let found = memchr::memmem::find(bytes, &magic);
        if let Some(at) = found.map(|at| start + (at + magic.len()) as u64) {
            let mut all = vec![0; (mb << 20) - 16];
            core.memory().read_into(at, &mut all).expect("all of the array");
            return all.as_chunks::<8>().0.iter().map(|b| u64::from_le_bytes(*b)).collect();
        }
    }
    panic!("no array in the core");
}

/// The array holds one number up to some place and the one before it from there on.
pub fn of_one_instant(what: &str, numbers: &[u64]) {
    let (first, last) = (numbers[0], numbers[numbers.len() - 1]);
    assert!(first >= 3 && (last == first || last + 1 == first), "{what}: {first} to {last}");
    let place = numbers.partition_point(|n| *n == first);
    let wrong = numbers[place..].iter().position(|n| *n != last);
    assert_eq!(wrong.map(|w| w + place), None, "{what}: not of one instant");
}
