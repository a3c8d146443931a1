//! Where the boxes of a treemap lie: squarified (Bruls, Huizing and van Wijk, 2000).

/// A box: its left and upper edge, its width and height.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Rect {
    /// Left edge.
    pub(super) x: f64,
    /// Upper edge.
    pub(super) y: f64,
    /// Width.
    pub(super) w: f64,
    /// Height.
    pub(super) h: f64,
}

/// Lays boxes of these values, the largest first, into `room`, each as large as its value is of `all`. What `all` has more
/// than their sum stays free, right and below.
pub(super) fn squarify(values: &[u64], all: u64, room: Rect) -> Vec<Rect> {
    let scale = if all == 0 { 0.0 } else { room.w * room.h / all as f64 };
    let areas: Vec<f64> = values.iter().map(|v| *v as f64 * scale).collect();
    let (mut free, mut out) = (room, Vec::with_capacity(areas.len()));
    let mut rest = &areas[..];
    while !rest.is_empty() {
        let side = free.w.min(free.h);
        let mut row = 1;
        while row < rest.len() && worst(&rest[..=row], side) <= worst(&rest[..row], side) {
            row += 1;
        }
        lay(&rest[..row], &mut free, &mut out);
        rest = &rest[row..];
    }
    out
}

/// How far from a square the worst box of a row is.
fn worst(row: &[f64], side: f64) -> f64 {
    let sum: f64 = row.iter().sum();
    let of = |area: f64| {
        let ratio = side * side * area / (sum * sum);
        ratio.max(1.0 / ratio)
    };
    row.iter().copied().map(of).fold(0.0, f64::max)
}

/// Lays a row along the shorter side of what is free.
fn lay(row: &[f64], free: &mut Rect, out: &mut Vec<Rect>) {
    let sum: f64 = row.iter().sum();
    let upright = free.w >= free.h;
    let side = if upright { free.h } else { free.w };
    let depth = if side > 0.0 { sum / side } else { 0.0 };
    let mut at = 0.0;
    for area in row {
        let length = if depth > 0.0 { area / depth } else { 0.0 };
        out.push(match upright {
            true => Rect { x: free.x, y: free.y + at, w: depth, h: length },
            false => Rect { x: free.x + at, y: free.y, w: length, h: depth },
        });
        at += length;
    }
    match upright {
        true => (free.x, free.w) = (free.x + depth, (free.w - depth).max(0.0)),
        false => (free.y, free.h) = (free.y + depth, (free.h - depth).max(0.0)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_are_as_large_as_their_values_and_do_not_overlap() {
        let room = Rect { x: 5.0, y: 7.0, w: 960.0, h: 480.0 };
        let values = [600, 600, 400, 300, 200, 200, 100, 1];
        let all = 3000;
        let boxes = squarify(&values, all, room);
        for (of, value) in boxes.iter().zip(values) {
            let share = of.w * of.h / (room.w * room.h);
            assert!((share - value as f64 / all as f64).abs() < 1e-9, "{of:?}");
            assert!(of.x >= room.x - 1e-9 && of.y >= room.y - 1e-9, "{of:?}");
            assert!(of.x + of.w <= room.x + room.w + 1e-6, "{of:?}");
            assert!(of.y + of.h <= room.y + room.h + 1e-6, "{of:?}");
        }
        for (i, a) in boxes.iter().enumerate() {
            for b in &boxes[i + 1..] {
                let w = (a.x + a.w).min(b.x + b.w) - a.x.max(b.x);
                let h = (a.y + a.h).min(b.y + b.h) - a.y.max(b.y);
                assert!(w < 1e-6 || h < 1e-6, "{a:?} {b:?}");
            }
        }
        assert!(squarify(&[], 0, room).is_empty());
        assert!(squarify(&[0, 0], 0, room).iter().all(|r| r.w == 0.0 || r.h == 0.0));
    }
}
