//! An order of steps in which each step follows those that have to come before it.

/// The steps `0..count` in an order that keeps every edge `(before, after)`. Of the steps that may come next, the one with
/// the lowest number does. `Err` has the steps that are on a circle of edges, or have to follow one that is.
pub(super) fn sort(count: usize, edges: &[(usize, usize)]) -> Result<Vec<usize>, Vec<usize>> {
    let mut waiting_for = vec![0_usize; count];
    for (_, after) in edges {
        waiting_for[*after] += 1;
    }
    let mut free: std::collections::BTreeSet<usize> = (0..count).filter(|step| waiting_for[*step] == 0).collect();
    let mut order = Vec::with_capacity(count);
    while let Some(step) = free.pop_first() {
        order.push(step);
        for (_, after) in edges.iter().filter(|(before, _)| *before == step) {
            waiting_for[*after] -= 1;
            if waiting_for[*after] == 0 {
                free.insert(*after);
            }
        }
    }
    if order.len() == count {
        return Ok(order);
    }
    Err((0..count).filter(|step| waiting_for[*step] > 0).collect())
}

/// A partition of the numbers from 0 into sets, which can be joined.
pub(super) struct DisjointSets {
    parent: Vec<usize>,
}

impl DisjointSets {
    pub(super) fn new(count: usize) -> DisjointSets {
        DisjointSets { parent: (0..count).collect() }
    }

    /// The number that stands for the set of `member`.
    pub(super) fn find(&self, mut member: usize) -> usize {
        while self.parent[member] != member {
            member = self.parent[member];
        }
        member
    }

    pub(super) fn join(&mut self, one: usize, other: usize) {
        let (one, other) = (self.find(one), self.find(other));
        self.parent[one] = other;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_are_kept_and_ties_go_by_number() {
        assert_eq!(sort(4, &[]), Ok(vec![0, 1, 2, 3]));
        assert_eq!(sort(4, &[(3, 0), (3, 1), (1, 0)]), Ok(vec![2, 3, 1, 0]));
        assert_eq!(sort(3, &[(0, 1), (0, 1), (1, 2)]), Ok(vec![0, 1, 2]));
    }

    #[test]
    fn circles_are_named() {
        assert_eq!(sort(4, &[(0, 1), (1, 0), (1, 2)]), Err(vec![0, 1, 2]));
        assert_eq!(sort(1, &[(0, 0)]), Err(vec![0]));
    }

    #[test]
    fn sets_grow_together() {
        let mut sets = DisjointSets::new(4);
        sets.join(0, 1);
        sets.join(2, 1);
        assert_eq!(sets.find(0), sets.find(2));
        assert_ne!(sets.find(0), sets.find(3));
    }

    proptest::proptest! {
        #[test]
        fn every_answer_is_right(edges in proptest::collection::vec((0_usize..7, 0_usize..7), 0..12)) {
            match sort(7, &edges) {
                Ok(order) => {
                    let place = |step| order.iter().position(|s| *s == step);
                    proptest::prop_assert!(edges.iter().all(|(before, after)| place(*before) < place(*after)));
                }
                Err(stuck) => {
                    // Each step that is stuck waits for another one that is.
                    proptest::prop_assert!(stuck.iter().all(|s| edges.iter().any(|(b, a)| a == s && stuck.contains(b))));
                }
            }
        }
    }
}
