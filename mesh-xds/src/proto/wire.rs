//! The protobuf wire format, read in place.
//!
//! A [`Fields`] yields the fields of one message in order, borrowing from its bytes. Unknown fields
//! are the caller's to ignore. Nothing here allocates, recurses or panics, whatever the bytes are.

/// Why bytes are not a protobuf message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// The bytes end inside a field.
    #[error("message is truncated")]
    Truncated,
    /// A number of more than 64 bits.
    #[error("varint is longer than 10 bytes")]
    LongVarint,
    /// A field number of 0, or above 2^29 - 1.
    #[error("field number is out of range")]
    FieldNumber,
    /// A group, which proto3 does not have, or a reserved wire type.
    #[error("wire type {0} is not supported")]
    WireType(u8),
    /// A field of a known number has another type than the schema says.
    #[error("field {0} has an unexpected wire type")]
    Mismatch(u32),
    /// A string is not UTF-8.
    #[error("string is not UTF-8")]
    Utf8,
}

/// The value of a field, as far as the wire format tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// Integers, booleans and enums.
    Varint(u64),
    /// `fixed64`, `sfixed64`, `double`.
    Fixed64(u64),
    /// Strings, bytes, messages and packed numbers.
    Bytes(&'a [u8]),
    /// `fixed32`, `sfixed32`, `float`.
    Fixed32(u32),
}

/// One field of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// The field number.
    pub number: u32,
    /// The value.
    pub value: Value<'a>,
}

impl<'a> Field<'a> {
    /// The value of a length-delimited field.
    ///
    /// # Errors
    /// [`WireError::Mismatch`] if it is of another wire type.
    #[inline]
    pub fn bytes(&self) -> Result<&'a [u8], WireError> {
        match self.value {
            Value::Bytes(bytes) => Ok(bytes),
            Value::Varint(_) | Value::Fixed64(_) | Value::Fixed32(_) => {
                Err(WireError::Mismatch(self.number))
            }
        }
    }

    /// The value of a string field.
    ///
    /// # Errors
    /// [`WireError::Mismatch`] or [`WireError::Utf8`].
    #[inline]
    pub fn text(&self) -> Result<&'a str, WireError> {
        std::str::from_utf8(self.bytes()?).map_err(|_| WireError::Utf8)
    }

    /// The value of a `uint32` or enum field; as protobuf says, higher bits are cut off.
    ///
    /// # Errors
    /// [`WireError::Mismatch`] if it is of another wire type.
    #[inline]
    pub fn uint32(&self) -> Result<u32, WireError> {
        match self.value {
            Value::Varint(number) => {
                Ok(u32::try_from(number & u64::from(u32::MAX)).unwrap_or(u32::MAX))
            }
            Value::Bytes(_) | Value::Fixed64(_) | Value::Fixed32(_) => {
                Err(WireError::Mismatch(self.number))
            }
        }
    }
}

/// The fields of a message. Ends after the first error.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// The fields of the message in `bytes`.
    #[must_use]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    #[inline]
    fn field(&mut self) -> Result<Field<'a>, WireError> {
        let key = self.varint()?;
        let number = u32::try_from(key >> 3).map_err(|_| WireError::FieldNumber)?;
        if number == 0 || number >= 1 << 29 {
            return Err(WireError::FieldNumber);
        }
        let value = match key & 7 {
            0 => Value::Varint(self.varint()?),
            1 => Value::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => {
                let len = usize::try_from(self.varint()?).map_err(|_| WireError::Truncated)?;
                let (bytes, rest) = self.rest.split_at_checked(len).ok_or(WireError::Truncated)?;
                self.rest = rest;
                Value::Bytes(bytes)
            }
            5 => Value::Fixed32(u32::from_le_bytes(self.array()?)),
            other => return Err(WireError::WireType(u8::try_from(other).unwrap_or(7))),
        };
        Ok(Field { number, value })
    }

    #[inline]
    fn varint(&mut self) -> Result<u64, WireError> {
        match self.rest {
            // Nearly all keys, lengths and numbers are one byte.
            [byte, rest @ ..] if *byte < 0x80 => {
                self.rest = rest;
                Ok(u64::from(*byte))
            }
            _ => self.long_varint(),
        }
    }

    fn long_varint(&mut self) -> Result<u64, WireError> {
        let mut number = 0u64;
        for (at, byte) in self.rest.iter().enumerate().take(10) {
            let bits = u64::from(byte & 0x7f);
            if at == 9 && bits > 1 {
                return Err(WireError::LongVarint);
            }
            number |= bits << (7 * at);
            if byte & 0x80 == 0 {
                self.rest = self.rest.get(at + 1..).unwrap_or_default();
                return Ok(number);
            }
        }
        Err(if self.rest.len() < 10 { WireError::Truncated } else { WireError::LongVarint })
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (array, rest) = self.rest.split_first_chunk().ok_or(WireError::Truncated)?;
        self.rest = rest;
        Ok(*array)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, WireError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(bytes: &[u8]) -> Result<Vec<(u32, Value<'_>)>, WireError> {
        Fields::new(bytes).map(|f| f.map(|f| (f.number, f.value))).collect()
    }

    #[test]
    fn every_wire_type_is_read() {
        let bytes = [0x08, 0x96, 0x01, 0x12, 2, b'h', b'i', 0x1d, 1, 0, 0, 0, 0x21, 2, 0, 0, 0, 0];
        let bytes = [&bytes[..], &[0, 0, 0]].concat();
        assert_eq!(
            fields(&bytes).unwrap(),
            [
                (1, Value::Varint(150)),
                (2, Value::Bytes(b"hi")),
                (3, Value::Fixed32(1)),
                (4, Value::Fixed64(2)),
            ]
        );
    }

    #[test]
    fn malformed_bytes_say_what_is_wrong() {
        for (bytes, why) in [
            (&[0x08][..], WireError::Truncated),
            (&[0x12, 5, 1], WireError::Truncated),
            (
                &[0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
                WireError::Truncated,
            ),
            (&[0x08; 1], WireError::Truncated),
            (&[0xff; 11], WireError::LongVarint),
            (&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2], WireError::LongVarint),
            (&[0x00, 1], WireError::FieldNumber),
            (&[0x0b], WireError::WireType(3)),
            (&[0x0f], WireError::WireType(7)),
            (&[0x0d, 1, 2, 3], WireError::Truncated),
        ] {
            assert_eq!(fields(bytes), Err(why), "{bytes:?}");
        }
    }

    #[test]
    fn numbers_are_cut_to_32_bits() {
        let field = |number| Field { number: 1, value: Value::Varint(number) };
        assert_eq!(field((1 << 32) + 7).uint32(), Ok(7));
        assert_eq!(field(1).bytes(), Err(WireError::Mismatch(1)));
        let text = Field { number: 3, value: Value::Bytes(&[0xff]) };
        assert_eq!(
            (text.text(), text.uint32()),
            (Err(WireError::Utf8), Err(WireError::Mismatch(3)))
        );
    }
}
