//! The byte layout of stored rows: big-endian numbers, and byte strings behind their length.

/// Builds a row.
#[derive(Default)]
pub(crate) struct RowWriter(Vec<u8>);

impl RowWriter {
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    pub(crate) fn u8(mut self, value: u8) -> Self {
        self.0.push(value);
        self
    }

    pub(crate) fn u32(mut self, value: u32) -> Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub(crate) fn u64(mut self, value: u64) -> Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub(crate) fn i64(mut self, value: i64) -> Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    /// Every caller bounds its rows far below 4 GiB, so the length always fits.
    pub(crate) fn bytes(mut self, value: &[u8]) -> Self {
        let length = u32::try_from(value.len()).unwrap_or(u32::MAX);
        self.0.extend_from_slice(&length.to_be_bytes());
        self.0.extend_from_slice(value);
        self
    }

    pub(crate) fn text(self, value: &str) -> Self {
        self.bytes(value.as_bytes())
    }

    pub(crate) fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// Reads a row; `None` as soon as it is not what was written.
pub(crate) struct RowReader<'a>(&'a [u8]);

impl<'a> RowReader<'a> {
    pub(crate) fn new(row: &'a [u8]) -> Self {
        Self(row)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    pub(crate) fn i64(&mut self) -> Option<i64> {
        self.array().map(i64::from_be_bytes)
    }

    pub(crate) fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.u32()?).ok()?;
        let (value, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(value)
    }

    pub(crate) fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    pub(crate) const fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }

    /// A row has nothing after its last member.
    pub(crate) fn end(self) -> Option<()> {
        self.0.is_empty().then_some(())
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (value, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Vec<u8> {
        RowWriter::default().u8(7).u32(70_000).i64(-1).text("grupo").bytes(&[]).finish()
    }

    #[test]
    fn what_was_written_is_read_back() {
        let row = row();
        let mut r = RowReader::new(&row);
        assert_eq!((r.u8(), r.u32(), r.i64()), (Some(7), Some(70_000), Some(-1)));
        assert_eq!((r.text(), r.bytes()), (Some("grupo"), Some(&[][..])));
        assert_eq!(r.end(), Some(()));
    }

    #[test]
    fn every_shortened_row_is_refused() {
        let row = row();
        for length in 0..row.len() {
            let mut r = RowReader::new(&row[..length]);
            let read = (|| {
                r.u8()?;
                r.u32()?;
                r.i64()?;
                r.text()?;
                r.bytes().map(drop)
            })();
            assert_eq!(read, None, "cut to {length} bytes");
        }
    }

    #[test]
    fn a_length_beyond_the_row_is_refused() {
        assert_eq!(RowReader::new(&[0xff; 8]).bytes(), None);
    }
}
