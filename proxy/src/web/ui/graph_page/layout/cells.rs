//! The cells of layers: boxes, and the places through which edges pass that lead further than to the next layer.

use std::collections::BTreeMap;

/// Places of both ends of what leads from one layer to the next.
pub(super) type Segment = (usize, usize);

/// All cells. The first are the boxes.
#[derive(Debug)]
pub(super) struct Cells {
    boxes: usize,
    layers: Vec<usize>,
    /// The cells of each layer, in their order across.
    pub(super) rows: Vec<Vec<usize>>,
    /// Where each cell stands in its layer.
    places: Vec<usize>,
    /// What leads to a cell from the layer before, and from it to the next one.
    before: BTreeMap<usize, Vec<usize>>,
    after: BTreeMap<usize, Vec<usize>>,
    /// The cells of each edge, from the lower layer to the higher; none of an edge that stays in its layer.
    pub(super) ways: Vec<Vec<usize>>,
}

impl Cells {
    pub(super) fn new(layers: &[usize], edges: &[(usize, usize)]) -> Self {
        let count = layers.iter().copied().max().map_or(0, |last| last + 1);
        let mut cells = Self {
            boxes: layers.len(),
            layers: layers.to_vec(),
            rows: vec![Vec::new(); count],
            places: Vec::new(),
            before: BTreeMap::new(),
            after: BTreeMap::new(),
            ways: Vec::with_capacity(edges.len()),
        };
        for (from, to) in edges {
            let (low, high) = if cells.layer(*from) <= cells.layer(*to) { (*from, *to) } else { (*to, *from) };
            let mut way = Vec::new();
            if cells.layer(low) < cells.layer(high) {
                way.push(low);
                for layer in cells.layer(low) + 1..cells.layer(high) {
                    way.push(cells.layers.len());
                    cells.layers.push(layer);
                }
                way.push(high);
            }
            for (one, next) in way.iter().zip(way.iter().skip(1)) {
                cells.after.entry(*one).or_default().push(*next);
                cells.before.entry(*next).or_default().push(*one);
            }
            cells.ways.push(way);
        }
        let mut rows = std::mem::take(&mut cells.rows);
        for (cell, layer) in cells.layers.iter().enumerate() {
            if let Some(row) = rows.get_mut(*layer) {
                row.push(cell);
            }
        }
        cells.set_rows(rows);
        cells
    }

    pub(super) fn set_rows(&mut self, rows: Vec<Vec<usize>>) {
        self.places = vec![0; self.layers.len()];
        self.rows = rows;
        for layer in 0..self.rows.len() {
            self.note_places(layer);
        }
    }

    fn note_places(&mut self, layer: usize) {
        for (place, cell) in self.rows.get(layer).into_iter().flatten().enumerate() {
            super::set(&mut self.places, *cell, place);
        }
    }

    pub(super) fn count(&self) -> usize {
        self.layers.len()
    }

    pub(super) fn layer(&self, cell: usize) -> usize {
        self.layers.get(cell).copied().unwrap_or_default()
    }

    pub(super) fn is_box(&self, cell: usize) -> bool {
        cell < self.boxes
    }

    pub(super) fn neighbours(&self, cell: usize) -> impl Iterator<Item = usize> {
        [&self.before, &self.after].into_iter().filter_map(move |near| near.get(&cell)).flatten().copied()
    }

    fn place(&self, cell: usize) -> usize {
        self.places.get(cell).copied().unwrap_or_default()
    }

    /// Sorts a layer by the medians of the places of what leads to its cells, or of what they lead to.
    pub(super) fn sort_layer(&mut self, layer: usize, by_those_before: bool) {
        let near = if by_those_before { &self.before } else { &self.after };
        let median = |cell: &usize| {
            let mut places: Vec<usize> = near.get(cell).into_iter().flatten().map(|near| self.place(*near)).collect();
            places.sort_unstable();
            let (low, high) = (places.len().saturating_sub(1) / 2, places.len() / 2);
            // Twice, so that it is whole. What has no neighbours stays where it is.
            match (places.get(low), places.get(high)) {
                (Some(low), Some(high)) => low + high,
                _ => 2 * self.place(*cell),
            }
        };
        let Some(row) = self.rows.get(layer) else { return };
        let mut keyed: Vec<(usize, usize)> = row.iter().map(|cell| (median(cell), *cell)).collect();
        keyed.sort_by_key(|(median, _)| *median);
        if let Some(row) = self.rows.get_mut(layer) {
            *row = keyed.into_iter().map(|(_, cell)| cell).collect();
        }
        self.note_places(layer);
    }

    pub(super) fn crossings(&self) -> usize {
        let of_row = |row: &Vec<usize>| {
            let leads_on = |cell: &usize| {
                let next = self.after.get(cell).into_iter().flatten();
                next.map(|next| (self.place(*cell), self.place(*next))).collect::<Vec<Segment>>()
            };
            super::crossings(&row.iter().flat_map(leads_on).collect::<Vec<_>>())
        };
        self.rows.iter().map(of_row).sum()
    }
}
