//! Messages of protocol buffers.
//!
//! Source: <https://protobuf.dev/programming-guides/encoding>.

/// Wire types: a number of variable length, bytes after their length, and four bytes.
const VARINT: u64 = 0;
const BYTES: u64 = 2;
const FOUR_BYTES: u64 = 5;

/// A message, as the bytes of its fields.
#[derive(Default)]
pub(super) struct Message(Vec<u8>);

impl Message {
    pub(super) fn integer(mut self, field: u64, value: u64) -> Message {
        self.push_varint(field << 3 | VARINT);
        self.push_varint(value);
        self
    }

    pub(super) fn float(mut self, field: u64, value: f32) -> Message {
        self.push_varint(field << 3 | FOUR_BYTES);
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    pub(super) fn bytes(mut self, field: u64, bytes: &[u8]) -> Message {
        self.push_varint(field << 3 | BYTES);
        self.push_varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
        self
    }

    pub(super) fn text(self, field: u64, text: &str) -> Message {
        self.bytes(field, text.as_bytes())
    }

    pub(super) fn message(self, field: u64, message: &Message) -> Message {
        self.bytes(field, &message.0)
    }

    /// Adds a field for each item.
    pub(super) fn repeated<T>(
        self,
        items: impl IntoIterator<Item = T>,
        field: impl Fn(Message, T) -> Message,
    ) -> Message {
        items.into_iter().fold(self, field)
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// Appends seven bits a byte, the lowest first; all bytes but the last have the highest bit set.
    fn push_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.0.push(value.to_le_bytes()[0]);
    }
}
