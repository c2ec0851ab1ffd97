//! Events as protocol buffers, in the fields of TensorFlow's `event.proto` and `summary.proto` that TensorBoard reads.

/// What happened at a step.
#[derive(Debug, Clone, Copy)]
pub enum What<'a> {
    /// The first event of a file.
    FileVersion,
    /// The run starts here: what an earlier one said of this step and later ones is void.
    Start,
    Scalar {
        tag: &'a str,
        value: f32,
    },
    /// Markdown.
    Text {
        tag: &'a str,
        text: &'a str,
    },
}

/// The bytes of an event; `wall_time` in seconds since 1970.
pub fn encode(wall_time: f64, step: u64, what: What) -> Vec<u8> {
    let mut event = Message::default();
    event.double(1, wall_time);
    event.number(2, step);
    match what {
        What::FileVersion => event.bytes(3, b"brain.Event:2"),
        What::Start => {
            let mut session = Message::default();
            session.number(1, 1);
            event.message(7, session);
        }
        What::Scalar { tag, value } => {
            let mut entry = Message::default();
            entry.bytes(1, tag.as_bytes());
            entry.float(2, value);
            event.message(5, summary(entry));
        }
        What::Text { tag, text } => {
            let mut entry = Message::default();
            entry.bytes(1, tag.as_bytes());
            entry.message(8, strings(text));
            entry.message(9, text_plugin());
            event.message(5, summary(entry));
        }
    }
    event.0
}

fn summary(entry: Message) -> Message {
    let mut summary = Message::default();
    summary.message(1, entry);
    summary
}

/// A tensor of one string, of shape [1].
fn strings(text: &str) -> Message {
    const DT_STRING: u64 = 7;
    let (mut dimension, mut shape, mut tensor) = (Message::default(), Message::default(), Message::default());
    dimension.number(1, 1);
    shape.message(2, dimension);
    tensor.number(1, DT_STRING);
    tensor.message(2, shape);
    tensor.bytes(8, text.as_bytes());
    tensor
}

/// Which of TensorBoard's plugins shows it.
fn text_plugin() -> Message {
    let (mut plugin, mut metadata) = (Message::default(), Message::default());
    plugin.bytes(1, b"text");
    metadata.message(1, plugin);
    metadata
}

/// A message on its way to bytes. As proto3 wants it, a number that is zero is left out.
#[derive(Debug, Default)]
struct Message(Vec<u8>);

impl Message {
    fn key(&mut self, field: u64, wire: u64) {
        self.varint(field << 3 | wire);
    }

    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn number(&mut self, field: u64, value: u64) {
        if value != 0 {
            self.key(field, 0);
            self.varint(value);
        }
    }

    fn double(&mut self, field: u64, value: f64) {
        self.key(field, 1);
        self.0.extend(value.to_le_bytes());
    }

    /// Also where it is zero: a scalar is one of several kinds of value, and must be said to be one.
    fn float(&mut self, field: u64, value: f32) {
        self.key(field, 5);
        self.0.extend(value.to_le_bytes());
    }

    fn bytes(&mut self, field: u64, bytes: &[u8]) {
        self.key(field, 2);
        self.varint(bytes.len() as u64);
        self.0.extend(bytes);
    }

    fn message(&mut self, field: u64, message: Self) {
        self.bytes(field, &message.0);
    }
}
