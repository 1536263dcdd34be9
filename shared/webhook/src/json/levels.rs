//! What is open around a position.

/// Which levels are objects: a stack of bits, the top 63 of it in a register.
pub(super) struct Levels {
    /// Below a leading one bit, so that the length is known.
    near: u64,
    far: Vec<u64>,
}

impl Default for Levels {
    fn default() -> Self {
        Self { near: EMPTY, far: Vec::new() }
    }
}

impl Levels {
    #[inline]
    pub(super) fn push(&mut self, object: bool) {
        if self.near & FULL != 0 {
            self.far.push(self.near);
            self.near = EMPTY;
        }
        self.near = self.near << 1 | u64::from(object);
    }

    #[inline]
    pub(super) fn top(&self) -> Option<bool> {
        (self.near != EMPTY).then_some(self.near & 1 == 1)
    }

    #[inline]
    pub(super) fn pop(&mut self) {
        self.near >>= 1;
        if self.near == EMPTY
            && let Some(below) = self.far.pop()
        {
            self.near = below;
        }
    }
}

const EMPTY: u64 = 1;

const FULL: u64 = 1 << 63;
