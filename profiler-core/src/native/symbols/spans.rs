//! Stretches of code that lie in and over each other, made into some that do not.

/// A stretch of code; addresses are less the table's base.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) start: u32,
    /// The address behind it.
    pub(super) end: u32,
    /// What it is.
    pub(super) value: u32,
}

/// Of those that cover an address the last counts. They come by rising `start`; so do the results, of which there are
/// at most twice as many, without two side by side of one value.
pub(super) fn flatten(spans: impl IntoIterator<Item = Span>) -> Vec<Span> {
    let mut flat = Vec::new();
    let mut open: Vec<Span> = Vec::new();
    // What is before has been put out.
    let mut done = 0;
    for span in spans {
        if span.start >= span.end {
            continue;
        }
        close(&mut flat, &mut open, &mut done, span.start);
        open.push(span);
    }
    close(&mut flat, &mut open, &mut done, u32::MAX);
    flat
}

/// Puts out all that is before an address.
fn close(flat: &mut Vec<Span>, open: &mut Vec<Span>, done: &mut u32, until: u32) {
    while let Some(last) = open.last() {
        if last.end > *done {
            let piece = Span { start: last.start.max(*done), end: last.end.min(until), value: last.value };
            *done = piece.end;
            put(flat, piece);
            if last.end > until {
                break;
            }
        }
        open.pop();
    }
    *done = until;
}

fn put(flat: &mut Vec<Span>, piece: Span) {
    if piece.start >= piece.end {
        return;
    }
    match flat.last_mut() {
        Some(before) if before.end == piece.start && before.value == piece.value => before.end = piece.end,
        _ => flat.push(piece),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(spans: &[(u32, u32, u32)]) -> Vec<(u32, u32, u32)> {
        let spans = spans.iter().map(|(start, end, value)| Span { start: *start, end: *end, value: *value });
        flatten(spans).into_iter().map(|span| (span.start, span.end, span.value)).collect()
    }

    #[test]
    fn the_last_that_begins_counts() {
        assert_eq!(flat(&[]), []);
        assert_eq!(flat(&[(1, 3, 7), (5, 6, 8)]), [(1, 3, 7), (5, 6, 8)]);
        assert_eq!(flat(&[(1, 9, 7), (3, 5, 8)]), [(1, 3, 7), (3, 5, 8), (5, 9, 7)]);
        assert_eq!(flat(&[(1, 9, 7), (3, 5, 8), (5, 7, 9)]), [(1, 3, 7), (3, 5, 8), (5, 7, 9), (7, 9, 7)]);
        assert_eq!(flat(&[(1, 5, 7), (3, 9, 8)]), [(1, 3, 7), (3, 9, 8)]);
        assert_eq!(flat(&[(1, 9, 7), (1, 5, 8)]), [(1, 5, 8), (5, 9, 7)]);
        assert_eq!(flat(&[(1, 9, 7), (2, 8, 8), (3, 4, 9)]), [(1, 2, 7), (2, 3, 8), (3, 4, 9), (4, 8, 8), (8, 9, 7)]);
        assert_eq!(flat(&[(1, 5, 7), (5, 9, 7)]), [(1, 9, 7)]);
        assert_eq!(flat(&[(4, 4, 7), (5, 3, 7)]), []);
    }

    /// Against looking at all of them for each address.
    #[test]
    fn any_spans_are_as_if_each_address_was_asked() {
        let mut state = 1_u32;
        let mut random = |below: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 16) % below
        };
        for _ in 0..500 {
            let mut spans: Vec<(u32, u32, u32)> = (0..random(12))
                .map(|value| {
                    let start = random(40);
                    (start, start + random(20), value)
                })
                .collect();
            spans.sort_by_key(|span| span.0);
            let found = flat(&spans);
            assert!(found.windows(2).all(|pair| pair[0].1 <= pair[1].0), "{spans:?}: {found:?}");
            for address in 0..64 {
                let inside = |span: &&(u32, u32, u32)| (span.0..span.1).contains(&address);
                let expected = spans.iter().rev().find(inside).map(|span| span.2);
                assert_eq!(found.iter().find(inside).map(|span| span.2), expected, "{address} of {spans:?}");
            }
        }
    }
}
