//! Where the boxes of a layered graph stand, and which way its edges take: along the axis by the longest path to each box,
//! across it by the medians of its neighbours (Sugiyama, Tagawa and Toda, 1981).

use self::cells::{Cells, Segment};

mod cells;

/// Sweeps that sort the layers by their neighbours, and that move boxes towards theirs.
const SWEEPS: usize = 8;

/// Sizes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    /// Of a box.
    pub along: f64,
    pub across: f64,
    /// Between layers, and between what stands in one.
    pub gap_along: f64,
    pub gap_across: f64,
    /// Of an edge that passes through a layer.
    pub lane: f64,
    /// Boxes in one layer; others make further layers.
    pub widest: usize,
}

/// A place: along the axis, and across.
pub(super) type Spot = (f64, f64);

/// A graph with its places.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Layout {
    /// The beginning of each box along the axis, and its middle across.
    pub boxes: Vec<Spot>,
    /// The turns of each edge, from the end of one box to the beginning of another.
    pub ways: Vec<Vec<Spot>>,
    pub along: f64,
    pub across: f64,
}

/// Lays a graph out. Edges that would go back are drawn as those that do; of a box to itself nothing is drawn.
pub(super) fn lay_out(count: usize, edges: &[(usize, usize)], style: &Style) -> Layout {
    let layers = layers(count, edges, style.widest);
    let mut cells = Cells::new(&layers, edges);
    sort(&mut cells);
    let places = places(&cells, style);
    let begin = |layer: usize| layer as f64 * (style.along + style.gap_along);
    let place = |cell: usize| places.get(cell).copied().unwrap_or_default();
    let boxes = layers.iter().enumerate().map(|(node, layer)| (begin(*layer), place(node))).collect();
    let way = |cells_of_edge: &Vec<usize>| {
        let mut way: Vec<Spot> = Vec::with_capacity(2 * cells_of_edge.len());
        for (place_in_way, cell) in cells_of_edge.iter().enumerate() {
            let (from, to) = (begin(cells.layer(*cell)), begin(cells.layer(*cell)) + style.along);
            if place_in_way > 0 {
                way.push((from, place(*cell)));
            }
            if place_in_way + 1 < cells_of_edge.len() {
                way.push((to, place(*cell)));
            }
        }
        way
    };
    let mut ways: Vec<Vec<Spot>> = cells.ways.iter().map(way).collect();
    for (way, (from, to)) in ways.iter_mut().zip(edges) {
        if layers.get(*from) > layers.get(*to) {
            way.reverse();
        }
    }
    let along = (cells.rows.len() as f64 * (style.along + style.gap_along) - style.gap_along).max(0.0);
    Layout { boxes, ways, along, across: width(&cells, style) }
}

/// The layer of each box.
fn layers(count: usize, edges: &[(usize, usize)], widest: usize) -> Vec<usize> {
    let order = order(count, edges);
    let mut rank = vec![0; count];
    for (place, node) in order.iter().enumerate() {
        set(&mut rank, *node, place);
    }
    let at = |list: &[usize], node: usize| list.get(node).copied().unwrap_or_default();
    let forward: Vec<(usize, usize)> = edges
        .iter()
        .map(|(from, to)| if at(&rank, *from) <= at(&rank, *to) { (*from, *to) } else { (*to, *from) })
        .filter(|(from, to)| from != to)
        .collect();
    let mut layers = vec![0; count];
    for node in &order {
        for (_, to) in forward.iter().filter(|(from, _)| from == node) {
            let layer = at(&layers, *to).max(at(&layers, *node) + 1);
            set(&mut layers, *to, layer);
        }
    }
    // What nothing leads to stands next to what it leads to.
    for node in 0..count {
        if !forward.iter().any(|(_, to)| *to == node) {
            let next = forward.iter().filter(|(from, _)| *from == node).map(|(_, to)| at(&layers, *to)).min();
            set(&mut layers, node, next.map_or(0, |next| next.saturating_sub(1)));
        }
    }
    split(&layers, widest)
}

/// The boxes, each behind those that lead to it; where they lead to each other, the first comes first.
fn order(count: usize, edges: &[(usize, usize)]) -> Vec<usize> {
    let mut waits_for = vec![0_usize; count];
    for (_, to) in edges.iter().filter(|(from, to)| from != to) {
        if let Some(waits) = waits_for.get_mut(*to) {
            *waits += 1;
        }
    }
    let mut waiting: Vec<usize> = (0..count).collect();
    let mut order = Vec::with_capacity(count);
    while !waiting.is_empty() {
        let free = waiting.iter().position(|node| waits_for.get(*node) == Some(&0)).unwrap_or_default();
        let node = waiting.remove(free);
        for (_, to) in edges.iter().filter(|(from, to)| *from == node && from != to) {
            if let Some(waits) = waits_for.get_mut(*to) {
                *waits = waits.saturating_sub(1);
            }
        }
        order.push(node);
    }
    order
}

/// Layers with more boxes than may stand in one become several.
fn split(layers: &[usize], widest: usize) -> Vec<usize> {
    let mut split = vec![0; layers.len()];
    let mut next = 0;
    for layer in 0..=layers.iter().copied().max().unwrap_or_default() {
        let of_layer: Vec<usize> =
            layers.iter().enumerate().filter(|(_, of)| **of == layer).map(|(node, _)| node).collect();
        for part in of_layer.chunks(widest.max(1)) {
            part.iter().for_each(|node| set(&mut split, *node, next));
            next += 1;
        }
    }
    split
}

fn set<T>(list: &mut [T], place: usize, value: T) {
    if let Some(slot) = list.get_mut(place) {
        *slot = value;
    }
}

/// Sorts each layer by the medians of its neighbours, downwards and upwards, and keeps what crosses least.
fn sort(cells: &mut Cells) {
    let mut best = (cells.crossings(), cells.rows.clone());
    for sweep in 0..SWEEPS {
        let is_down = sweep % 2 == 0;
        let layers = cells.rows.len();
        let sequence: Vec<usize> =
            if is_down { (1..layers).collect() } else { (0..layers.saturating_sub(1)).rev().collect() };
        for layer in sequence {
            cells.sort_layer(layer, is_down);
        }
        let crossings = cells.crossings();
        if crossings < best.0 {
            best = (crossings, cells.rows.clone());
        }
        if best.0 == 0 {
            break;
        }
    }
    cells.set_rows(best.1);
}

/// The extent across of a cell.
fn extent(cells: &Cells, cell: usize, style: &Style) -> f64 {
    if cells.is_box(cell) { style.across } else { style.lane }
}

/// The extent across of the widest layer.
fn width(cells: &Cells, style: &Style) -> f64 {
    let of_row = |row: &Vec<usize>| {
        row.iter().map(|cell| extent(cells, *cell, style) + style.gap_across).sum::<f64>() - style.gap_across
    };
    cells.rows.iter().map(of_row).fold(0.0, f64::max)
}

/// The middle of each cell across the axis.
fn places(cells: &Cells, style: &Style) -> Vec<f64> {
    let mut places = vec![0.0; cells.count()];
    let width = width(cells, style);
    for row in &cells.rows {
        settle(row, &vec![width / 2.0; row.len()], width, cells, style, &mut places);
    }
    for sweep in 0..SWEEPS {
        let layers = cells.rows.len();
        let sequence: Vec<usize> = if sweep % 2 == 0 { (0..layers).collect() } else { (0..layers).rev().collect() };
        for layer in sequence {
            let Some(row) = cells.rows.get(layer) else { continue };
            let wished: Vec<f64> = row
                .iter()
                .map(|cell| {
                    let near: Vec<f64> =
                        cells.neighbours(*cell).filter_map(|other| places.get(other).copied()).collect();
                    let own = places.get(*cell).copied().unwrap_or_default();
                    if near.is_empty() { own } else { near.iter().sum::<f64>() / near.len() as f64 }
                })
                .collect();
            settle(row, &wished, width, cells, style, &mut places);
        }
    }
    places
}

/// Moves the cells of a layer to where they would be, as far as those beside them and the width allow.
fn settle(row: &[usize], wished: &[f64], width: f64, cells: &Cells, style: &Style, places: &mut [f64]) {
    let half = |cell: &usize| extent(cells, *cell, style) / 2.0;
    let mut settled: Vec<f64> = Vec::with_capacity(row.len());
    // Pushed to the right, each by the one before it.
    let mut free = 0.0_f64;
    for (cell, wish) in row.iter().zip(wished) {
        let place = wish.max(free + half(cell));
        settled.push(place);
        free = place + half(cell) + style.gap_across;
    }
    // All together back by what they were pushed on average.
    let pushed = settled.iter().zip(wished).map(|(place, wish)| place - wish).sum::<f64>() / row.len().max(1) as f64;
    let mut end = width;
    for (cell, place) in row.iter().zip(&mut settled).rev() {
        *place = (*place - pushed.max(0.0)).min(end - half(cell));
        end = *place - half(cell) - style.gap_across;
    }
    let mut begin = 0.0_f64;
    for (cell, place) in row.iter().zip(settled) {
        let place = place.max(begin + half(cell));
        begin = place + half(cell) + style.gap_across;
        set(places, *cell, place);
    }
}

/// How often segments between two layers cross.
fn crossings(segments: &[Segment]) -> usize {
    let mut crossings = 0;
    for (place, one) in segments.iter().enumerate() {
        let crossed = |other: &&Segment| (one.0 < other.0 && one.1 > other.1) || (one.0 > other.0 && one.1 < other.1);
        crossings += segments.iter().skip(place + 1).filter(crossed).count();
    }
    crossings
}

#[cfg(test)]
mod tests {
    use super::*;

    const STYLE: Style =
        Style { along: 100.0, across: 40.0, gap_along: 50.0, gap_across: 10.0, lane: 5.0, widest: usize::MAX };

    fn no_boxes_overlap(layout: &Layout, style: &Style) {
        for (place, one) in layout.boxes.iter().enumerate() {
            assert!(
                one.1 >= style.across / 2.0 - 0.01 && one.1 <= layout.across - style.across / 2.0 + 0.01,
                "{layout:?}"
            );
            for other in layout.boxes.iter().skip(place + 1) {
                assert!(one.0 != other.0 || (one.1 - other.1).abs() >= style.across, "{layout:?}");
            }
        }
    }

    #[test]
    fn a_chain_is_a_straight_line() {
        let layout = lay_out(3, &[(0, 1), (1, 2)], &STYLE);
        assert_eq!(layout.boxes, [(0.0, 20.0), (150.0, 20.0), (300.0, 20.0)]);
        assert_eq!(layout.ways, [[(100.0, 20.0), (150.0, 20.0)], [(250.0, 20.0), (300.0, 20.0)]]);
        assert_eq!((layout.along, layout.across), (400.0, 40.0));
    }

    #[test]
    fn layers_follow_the_longest_path_and_sources_stand_next_to_what_they_feed() {
        let layout = lay_out(5, &[(0, 1), (1, 2), (0, 2), (3, 2)], &STYLE);
        let layers: Vec<f64> = layout.boxes.iter().map(|spot| spot.0 / 150.0).collect();
        assert_eq!(layers, [0.0, 1.0, 2.0, 1.0, 0.0]);
        // The long edge passes through the layer between.
        assert_eq!(layout.ways.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 4, 2]);
        no_boxes_overlap(&layout, &STYLE);
    }

    #[test]
    fn edges_that_need_not_cross_do_not() {
        let layout = lay_out(6, &[(0, 5), (1, 4), (2, 3)], &STYLE);
        let lines: Vec<f64> = layout.ways.iter().map(|way| way[0].1 - way[1].1).collect();
        assert_eq!(lines, [0.0; 3]);
        no_boxes_overlap(&layout, &STYLE);
    }

    #[test]
    fn what_goes_round_is_laid_out_too() {
        let layout = lay_out(3, &[(0, 1), (1, 2), (2, 0), (1, 1)], &STYLE);
        let layers: Vec<f64> = layout.boxes.iter().map(|spot| spot.0 / 150.0).collect();
        assert_eq!(layers, [0.0, 1.0, 2.0]);
        assert!(layout.ways[3].is_empty());
        let back = &layout.ways[2];
        assert!(back.first() > back.last(), "{back:?}");
    }

    #[test]
    fn layers_are_as_wide_as_they_may_be() {
        let style = Style { widest: 2, ..STYLE };
        let edges: Vec<(usize, usize)> = (0..7).map(|source| (source, 7)).collect();
        let layout = lay_out(8, &edges, &style);
        let in_layer = |along: f64| layout.boxes.iter().filter(|spot| spot.0 == along).count();
        assert!(layout.boxes.iter().all(|spot| in_layer(spot.0) <= 2));
        no_boxes_overlap(&layout, &style);
    }

    #[test]
    fn whatever_is_connected_boxes_stay_apart() {
        for seed in 0..200_usize {
            let mut random = fastrand::Rng::with_seed(seed as u64);
            let count = random.usize(0..30);
            let edges: Vec<(usize, usize)> = (0..random.usize(0..60))
                .filter(|_| count > 0)
                .map(|_| (random.usize(0..count), random.usize(0..count)))
                .collect();
            for widest in [1, 2, usize::MAX] {
                let style = Style { widest, ..STYLE };
                let layout = lay_out(count, &edges, &style);
                assert_eq!((layout.boxes.len(), layout.ways.len()), (count, edges.len()));
                no_boxes_overlap(&layout, &style);
            }
        }
    }
}
