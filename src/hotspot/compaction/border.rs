//! Where a piece of the heap that is gone through from its lowest address on has come to.

/// From where on all of `start..end` is as it was (references, say), so that the fewest votes speak against it.
pub(super) fn border(votes: &[(u64, bool)], start: u64, end: u64) -> u64 {
    let mut against = votes.iter().filter(|v| v.1).count();
    let (mut least, mut at) = (against, 0);
    for (i, v) in votes.iter().enumerate() {
        if v.1 {
            against -= 1
        } else {
            against += 1
        }
        if against < least {
            (least, at) = (against, i + 1);
        }
    }
    // Between two votes all may be, before the first and behind the last nothing speaks for another border.
    match at {
        0 => start,
        at => votes.get(at).map_or(end, |v| v.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_border_is_where_the_fewest_votes_are_against_it() {
        let votes = |new: &[bool]| (20..).zip(new.iter().copied()).collect::<Vec<(u64, bool)>>();
        let border = |new: &[bool]| border(&votes(new), 10, 30);
        assert_eq!(border(&[true, true, false, false]), 22);
        assert_eq!(border(&[true, false, true, true, false, false, true, false]), 24);
        assert_eq!(border(&[false, false]), 10);
        assert_eq!(border(&[true, true]), 30);
    }
}
