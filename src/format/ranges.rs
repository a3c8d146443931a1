//! Ranges of addresses or offsets: (first, first after it).
//!
//! Knows numbers only.

/// Some of them.
pub type Ranges = Vec<(u64, u64)>;

/// Sorted, and joined where they touch.
pub fn union(mut ranges: Ranges) -> Ranges {
    ranges.sort_unstable();
    ranges.dedup_by(|next, last| {
        let joins = next.0 <= last.1;
        if joins {
            last.1 = last.1.max(next.1);
        }
        joins
    });
    ranges
}

/// What of `a` is not in `b`; both in order and disjoint.
pub fn minus(a: &[(u64, u64)], b: &[(u64, u64)]) -> Ranges {
    let mut out = Ranges::new();
    let mut cuts = b.iter().peekable();
    for &(start, end) in a {
        let mut at = start;
        while let Some(&&(from, to)) = cuts.peek() {
            if to <= at {
                cuts.next();
                continue;
            }
            if from >= end {
                break;
            }
            if at < from {
                out.push((at, from));
            }
            at = to;
            if to > end {
                break;
            }
            cuts.next();
        }
        if at < end {
            out.push((at, end));
        }
    }
    out
}

/// What is in both; each in order and disjoint. What of `b` is before or behind all of `a` costs nothing.
pub fn both(a: &[(u64, u64)], b: &[(u64, u64)]) -> impl Iterator<Item = (u64, u64)> {
    let first = a.first().map_or(0, |a| b.partition_point(|b| b.1 <= a.0));
    let (mut a, mut b) = (a.iter().peekable(), b.iter().skip(first).peekable());
    std::iter::from_fn(move || {
        loop {
            let (&&(from, to), &&(start, end)) = (a.peek()?, b.peek()?);
            if to <= end {
                a.next();
            } else {
                b.next();
            }
            let (from, to) = (from.max(start), to.min(end));
            if from < to {
                return Some((from, to));
            }
        }
    })
}

/// How many bytes are in both; each in order and disjoint.
pub fn common(a: &[(u64, u64)], b: &[(u64, u64)]) -> u64 {
    both(a, b).map(|(from, to)| to - from).sum()
}

/// At most `most` (at least one) ranges that hold all of `a`, which is in order and disjoint:
/// those with the least between them are joined.
pub fn fewer(a: &[(u64, u64)], most: usize) -> Ranges {
    let most = most.max(1);
    let mut gaps: Vec<u64> =
        a.iter().zip(a.iter().skip(1)).map(|(one, next)| next.0 - one.1).collect();
    gaps.sort_unstable();
    let joins = a.len().saturating_sub(most);
    let Some(widest) = joins.checked_sub(1).and_then(|i| gaps.get(i).copied()) else {
        return a.to_vec();
    };
    let mut left = joins;
    let mut out: Ranges = Vec::with_capacity(most);
    for &r in a {
        match out.last_mut() {
            Some(last) if left > 0 && r.0 - last.1 <= widest => {
                last.1 = r.1;
                left -= 1;
            }
            _ => out.push(r),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unions_are_in_order_and_disjoint() {
        assert_eq!(union(vec![(5, 7), (0, 2), (1, 3), (3, 4)]), [(0, 4), (5, 7)]);
        assert_eq!(union(vec![(0, 9), (1, 2)]), [(0, 9)]);
    }

    #[test]
    fn bytes_in_both() {
        let a = [(0, 10), (20, 30), (40, 50)];
        assert_eq!(common(&a, &[(5, 22), (28, 45)]), 5 + 2 + 2 + 5);
        assert_eq!((common(&a, &[]), common(&a, &a), common(&a, &[(10, 20)])), (0, 30, 0));
    }

    #[test]
    fn the_nearest_are_joined() {
        let some = [(0, 1), (2, 3), (10, 11), (12, 13), (50, 51)];
        assert_eq!(fewer(&some, 9), some);
        assert_eq!(fewer(&some, 3), [(0, 3), (10, 13), (50, 51)]);
        assert_eq!(fewer(&some, 2), [(0, 13), (50, 51)]);
        assert_eq!(fewer(&some, 0), [(0, 51)]);
        assert_eq!(fewer(&[], 1), []);
    }

    #[test]
    fn differences_of_ranges() {
        let of = |a: &[(u64, u64)], b: &[(u64, u64)]| minus(a, b);
        assert_eq!(of(&[(0, 10)], &[]), [(0, 10)]);
        assert_eq!(of(&[(0, 10)], &[(2, 4), (6, 7)]), [(0, 2), (4, 6), (7, 10)]);
        assert_eq!(of(&[(0, 10), (20, 30)], &[(5, 25), (28, 40)]), [(0, 5), (25, 28)]);
        assert_eq!(of(&[(5, 6), (7, 8)], &[(0, 100)]), []);
    }
}
