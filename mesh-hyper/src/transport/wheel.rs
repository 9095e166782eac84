//! A timer wheel: many deadlines, few of which ever come.
//!
//! Most calls end long before their deadline, so adding and removing must be cheap and firing may
//! cost more. One turn of hashed slots, one tick each; a deadline further away than a turn stays in
//! its slot and is passed over. No clock here: ticks are numbers.

use std::task::Waker;

/// Slots of the wheel; a power of two. With ticks of 1 ms one turn is 4.096 s.
const SLOTS: usize = 4096;
const WORDS: usize = SLOTS / 64;

/// A deadline in the wheel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key(u32);

#[derive(Debug)]
enum Entry {
    /// In `slots[tick % SLOTS][position]`.
    Armed {
        tick: u64,
        position: u32,
        waker: Waker,
    },
    /// Its time has come; stays until the owner removes it.
    Fired,
    Free {
        next: Option<u32>,
    },
}

#[derive(Debug)]
pub(crate) struct Wheel {
    entries: Vec<Entry>,
    free: Option<u32>,
    slots: Box<[Vec<u32>]>,
    occupied: [u64; WORDS],
    /// All ticks before this one have been processed.
    now: u64,
    armed: usize,
}

impl Wheel {
    pub(crate) fn new() -> Self {
        Self {
            entries: Vec::new(),
            free: None,
            slots: std::iter::repeat_with(Vec::new).take(SLOTS).collect(),
            occupied: [0; WORDS],
            now: 0,
            armed: 0,
        }
    }

    /// Wakes `waker` at `tick`, or in the next [`advance`](Self::advance) if that is past.
    pub(crate) fn insert(&mut self, tick: u64, waker: Waker) -> Key {
        let tick = tick.max(self.now);
        let index = self.free.unwrap_or(u32::try_from(self.entries.len()).unwrap_or(u32::MAX));
        let slot = slot_of(tick);
        let position = u32::try_from(self.slots[slot].len()).unwrap_or(u32::MAX);
        self.slots[slot].push(index);
        self.occupied[slot / 64] |= 1 << (slot % 64);
        let entry = Entry::Armed { tick, position, waker };
        match self.entries.get_mut(index as usize) {
            Some(place) => {
                if let Entry::Free { next } = *place {
                    self.free = next;
                }
                *place = entry;
            }
            None => self.entries.push(entry),
        }
        self.armed += 1;
        Key(index)
    }

    /// Whether the deadline has passed; otherwise replaces its waker if `waker` is another.
    pub(crate) fn is_fired(&mut self, key: Key, waker: &Waker) -> bool {
        match self.entries.get_mut(key.0 as usize) {
            Some(Entry::Armed { waker: known, .. }) => {
                known.clone_from(waker);
                false
            }
            Some(Entry::Fired) => true,
            Some(Entry::Free { .. }) | None => false,
        }
    }

    /// Takes a deadline out. Every inserted one is taken out exactly once, by its owner.
    pub(crate) fn remove(&mut self, key: Key) {
        let Some(entry) = self.entries.get_mut(key.0 as usize) else { return };
        let old = std::mem::replace(entry, Entry::Free { next: self.free });
        self.free = Some(key.0);
        if let Entry::Armed { tick, position, .. } = old {
            self.armed -= 1;
            self.unlink(slot_of(tick), position);
        }
    }

    /// Moves to `tick`, and collects the wakers of all deadlines at or before it.
    pub(crate) fn advance(&mut self, tick: u64, due: &mut Vec<Waker>) {
        if tick < self.now {
            return;
        }
        // A jump over more than a turn visits every slot once.
        let steps = (tick - self.now + 1).min(SLOTS as u64);
        let first = tick + 1 - steps;
        for at in first..=tick {
            let slot = slot_of(at);
            if self.occupied[slot / 64] & (1 << (slot % 64)) != 0 {
                self.fire(slot, tick, due);
            }
        }
        self.now = tick + 1;
    }

    /// The earliest tick at which there may be something to fire.
    pub(crate) fn next_tick(&self) -> Option<u64> {
        if self.armed == 0 {
            return None;
        }
        let start = slot_of(self.now);
        // The word of `start` is looked at twice: its upper bits first, its lower bits last.
        for step in 0..=WORDS {
            let word = (start / 64 + step) % WORDS;
            let mut bits = self.occupied[word];
            if step == 0 {
                bits &= !0 << (start % 64);
            } else if step == WORDS {
                bits &= !(!0 << (start % 64));
            }
            if bits != 0 {
                let slot = word * 64 + bits.trailing_zeros() as usize;
                let ahead = (slot + SLOTS - start) % SLOTS;
                return Some(self.now + ahead as u64);
            }
        }
        None
    }

    fn fire(&mut self, slot: usize, tick: u64, due: &mut Vec<Waker>) {
        let mut position = 0;
        while let Some(&index) = self.slots[slot].get(position) {
            let Some(entry) = self.entries.get_mut(index as usize) else { return };
            match entry {
                Entry::Armed { tick: at, .. } if *at <= tick => {
                    if let Entry::Armed { waker, .. } = std::mem::replace(entry, Entry::Fired) {
                        due.push(waker);
                    }
                    self.armed -= 1;
                    self.unlink(slot, u32::try_from(position).unwrap_or(u32::MAX));
                }
                Entry::Armed { .. } | Entry::Fired | Entry::Free { .. } => position += 1,
            }
        }
    }

    /// Takes the entry at `position` out of the slot and tells the one that takes its place.
    fn unlink(&mut self, slot: usize, position: u32) {
        let list = &mut self.slots[slot];
        if (position as usize) < list.len() {
            list.swap_remove(position as usize);
        }
        if let Some(&moved) = list.get(position as usize)
            && let Some(Entry::Armed { position: at, .. }) = self.entries.get_mut(moved as usize)
        {
            *at = position;
        }
        if list.is_empty() {
            self.occupied[slot / 64] &= !(1 << (slot % 64));
        }
    }
}

fn slot_of(tick: u64) -> usize {
    // Below `SLOTS`, which is a `usize`.
    usize::try_from(tick % SLOTS as u64).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use mesh_core::rng::{Rng, XorShift};

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn fires_what_is_due_and_nothing_else() {
        let mut wheel = Wheel::new();
        let waker = Waker::from(Arc::new(Count::default()));
        let near = wheel.insert(3, waker.clone());
        let far = wheel.insert(3 + SLOTS as u64, waker.clone());
        assert_eq!(wheel.next_tick(), Some(3));
        let mut due = Vec::new();
        wheel.advance(3, &mut due);
        assert_eq!(due.len(), 1);
        assert!(wheel.is_fired(near, &waker) && !wheel.is_fired(far, &waker));
        assert_eq!(wheel.next_tick(), Some(3 + SLOTS as u64));
        wheel.remove(near);
        wheel.remove(far);
        assert_eq!(wheel.next_tick(), None);
    }

    #[test]
    fn agrees_with_a_plain_list() {
        let mut rng = XorShift::new(5);
        let mut wheel = Wheel::new();
        let mut model: Vec<(u64, Key, bool)> = Vec::new();
        let waker = Waker::from(Arc::new(Count::default()));
        let mut now = 0u64;
        for _ in 0..20_000 {
            match rng.below(4) {
                0 | 1 => {
                    let tick = now + u64::from(rng.below(20_000));
                    model.push((tick.max(wheel.now), wheel.insert(tick, waker.clone()), false));
                }
                2 if !model.is_empty() => {
                    let at = rng.below(u32::try_from(model.len()).unwrap()) as usize;
                    let (_, key, fired) = model.swap_remove(at);
                    assert_eq!(wheel.is_fired(key, &waker), fired);
                    wheel.remove(key);
                }
                _ => {
                    now += u64::from(rng.below(300));
                    let mut due = Vec::new();
                    let earliest = model.iter().filter(|e| !e.2).map(|e| e.0).min();
                    let next = wheel.next_tick();
                    assert!(next.is_some() == earliest.is_some());
                    assert!(next <= earliest || earliest.is_none(), "{next:?} {earliest:?}");
                    wheel.advance(now, &mut due);
                    let mut fired = 0;
                    for entry in model.iter_mut().filter(|e| !e.2 && e.0 <= now) {
                        entry.2 = true;
                        fired += 1;
                    }
                    assert_eq!(due.len(), fired);
                }
            }
        }
    }
}
