//! Places as small numbers, of which there are not too many.

use std::collections::HashMap;

use iceberg::spec::Struct;

use super::places::Part;

/// Rows are taken apart by this many places; those of further ones are counted together.
pub const MOST: usize = 10_000;

/// Places as small numbers: 0 is that of all for which there is no room.
#[derive(Debug, Default)]
pub struct Numbers {
    topics: Vec<Struct>,
    values: Vec<Struct>,
    topic_numbers: HashMap<Struct, usize>,
    value_numbers: HashMap<Struct, usize>,
    numbers: HashMap<(usize, usize), u32>,
    /// By number less one: indices of topic partition and value.
    places: Vec<(usize, usize)>,
}

impl Numbers {
    /// The number of a place, a new one if it has none yet.
    pub fn number(&mut self, part: &Part) -> u32 {
        let known = self.find(part);
        if known != 0 || self.places.len() == MOST {
            return known;
        }
        let topic = index(&mut self.topic_numbers, &mut self.topics, &part.topic_partition);
        let value = index(&mut self.value_numbers, &mut self.values, &part.value);
        self.places.push((topic, value));
        let number = self.places.len() as u32;
        self.numbers.insert((topic, value), number);
        number
    }

    /// The number of a place; 0 if it has none.
    pub fn find(&self, part: &Part) -> u32 {
        let topic = self.topic_numbers.get(&part.topic_partition);
        let value = self.value_numbers.get(&part.value);
        let place = topic.copied().zip(value.copied());
        place
            .and_then(|place| self.numbers.get(&place).copied())
            .unwrap_or(0)
    }

    /// How many numbers there are, with 0.
    pub fn len(&self) -> usize {
        self.places.len() + 1
    }

    /// The topic partition of a place, as an index into [`topics`](Self::topics); none of place 0.
    pub fn topic_of(&self, place: u32) -> Option<usize> {
        Some(self.place(place)?.0)
    }

    /// The same of its partition value.
    pub fn value_of(&self, place: u32) -> Option<usize> {
        Some(self.place(place)?.1)
    }

    fn place(&self, place: u32) -> Option<(usize, usize)> {
        self.places.get((place as usize).checked_sub(1)?).copied()
    }

    pub fn topics(&self) -> &[Struct] {
        &self.topics
    }

    pub fn values(&self) -> &[Struct] {
        &self.values
    }
}

fn index(numbers: &mut HashMap<Struct, usize>, all: &mut Vec<Struct>, value: &Struct) -> usize {
    if let Some(known) = numbers.get(value) {
        return *known;
    }
    all.push(value.clone());
    numbers.insert(value.clone(), all.len() - 1);
    all.len() - 1
}

#[cfg(test)]
mod tests {
    use iceberg::spec::Literal;

    use super::*;

    fn part(topic_partition: i32, value: i32) -> Part {
        let of = |number| Struct::from_iter([Some(Literal::int(number))]);
        Part {
            topic_partition: of(topic_partition),
            value: of(value),
            rows: Vec::new(),
        }
    }

    #[test]
    fn places_keep_their_numbers_and_further_ones_share_the_first() {
        let mut numbers = Numbers::default();
        for at in 0..MOST as i32 {
            assert_eq!(numbers.number(&part(at % 3, at)), at as u32 + 1);
        }
        assert_eq!(numbers.number(&part(0, 3)), 4);
        assert_eq!(numbers.number(&part(0, -1)), 0);
        assert_eq!(numbers.find(&part(1, 3)), 0, "a new pair of known parts");
        assert_eq!(numbers.topics().len(), 3);
        assert_eq!(numbers.topic_of(2), Some(1));
        assert_eq!(numbers.topic_of(0), None);
    }
}
