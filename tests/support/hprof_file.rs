//! Writes small HPROF files by hand: any version, ids of 4 or 8 bytes, any record. Shares nothing with `src/`.

/// A file that grows.
pub struct File {
    pub bytes: Vec<u8>,
    id: usize,
    /// Sub-records of the heap dump that is not written yet.
    heap: Vec<u8>,
    serial: u32,
}

/// A value of a field: its type, and its bytes.
#[derive(Clone, Copy)]
pub enum Value {
    Ref(u64),
    Byte(u8),
    Int(u32),
    Long(u64),
}

impl Value {
    fn ty(self) -> u8 {
        match self {
            Value::Ref(_) => 2,
            Value::Byte(_) => 8,
            Value::Int(_) => 10,
            Value::Long(_) => 11,
        }
    }
}

/// A class: ids of itself, its super, its loader; static fields and fields by the ids of their names.
#[derive(Default, Clone)]
pub struct Class<'a> {
    pub id: u64,
    pub super_class: u64,
    pub loader: u64,
    pub constants: &'a [Value],
    pub statics: &'a [(u64, Value)],
    pub fields: &'a [(u64, u8)],
}

impl File {
    pub fn new(version: &str, id: usize) -> File {
        let mut bytes = format!("JAVA PROFILE {version}\0").into_bytes();
        bytes.extend((id as u32).to_be_bytes());
        bytes.extend(1_700_000_000_000u64.to_be_bytes());
        File { bytes, id, heap: Vec::new(), serial: 0 }
    }

    fn id_to(out: &mut Vec<u8>, id: u64, size: usize) {
        out.extend(&id.to_be_bytes()[8 - size..]);
    }

    fn value_to(out: &mut Vec<u8>, value: Value, size: usize) {
        match value {
            Value::Ref(id) => File::id_to(out, id, size),
            Value::Byte(b) => out.push(b),
            Value::Int(n) => out.extend(n.to_be_bytes()),
            Value::Long(n) => out.extend(n.to_be_bytes()),
        }
    }

    /// A top-level record.
    pub fn record(&mut self, tag: u8, body: &[u8]) {
        self.bytes.push(tag);
        self.bytes.extend([0; 4]);
        self.bytes.extend((body.len() as u32).to_be_bytes());
        self.bytes.extend(body);
    }

    pub fn utf8(&mut self, id: u64, text: &str) {
        let mut body = Vec::new();
        File::id_to(&mut body, id, self.id);
        body.extend(text.as_bytes());
        self.record(0x01, &body);
    }

    /// LOAD_CLASS; answers the serial.
    pub fn load(&mut self, class: u64, name: u64) -> u32 {
        self.serial += 1;
        let mut body = self.serial.to_be_bytes().to_vec();
        File::id_to(&mut body, class, self.id);
        body.extend([0; 4]);
        File::id_to(&mut body, name, self.id);
        self.record(0x02, &body);
        self.serial
    }

    pub fn frame(&mut self, id: u64, method: u64, file: u64, class: u32, line: i32) {
        let mut body = Vec::new();
        for id in [id, method, 0, file] {
            File::id_to(&mut body, id, self.id);
        }
        body.extend(class.to_be_bytes());
        body.extend(line.to_be_bytes());
        self.record(0x04, &body);
    }

    pub fn trace(&mut self, serial: u32, thread: u32, frames: &[u64]) {
        let mut body = Vec::new();
        for n in [serial, thread, frames.len() as u32] {
            body.extend(n.to_be_bytes());
        }
        frames.iter().for_each(|id| File::id_to(&mut body, *id, self.id));
        self.record(0x05, &body);
    }

    /// A sub-record of ids and other bytes.
    pub fn sub(&mut self, tag: u8, id: u64, rest: &[u8]) {
        self.heap.push(tag);
        File::id_to(&mut self.heap, id, self.id);
        self.heap.extend(rest);
    }

    /// Bytes of an id, for `rest`.
    pub fn id(&self, id: u64) -> Vec<u8> {
        id.to_be_bytes()[8 - self.id..].to_vec()
    }

    pub fn class(&mut self, class: &Class) {
        let size = self.id;
        self.sub(0x20, class.id, &[0; 4]);
        let out = &mut self.heap;
        for id in [class.super_class, class.loader, 0, 0, 0, 0] {
            File::id_to(out, id, size);
        }
        out.extend([0; 4]);
        out.extend((class.constants.len() as u16).to_be_bytes());
        for (i, value) in (0u16..).zip(class.constants) {
            out.extend(i.to_be_bytes());
            out.push(value.ty());
            File::value_to(out, *value, size);
        }
        out.extend((class.statics.len() as u16).to_be_bytes());
        for (name, value) in class.statics {
            File::id_to(out, *name, size);
            out.push(value.ty());
            File::value_to(out, *value, size);
        }
        out.extend((class.fields.len() as u16).to_be_bytes());
        for (name, ty) in class.fields {
            File::id_to(out, *name, size);
            out.push(*ty);
        }
    }

    pub fn instance(&mut self, id: u64, class: u64, values: &[Value]) {
        let mut body = Vec::new();
        values.iter().for_each(|v| File::value_to(&mut body, *v, self.id));
        let rest =
            [&[0; 4][..], &self.id(class), &(body.len() as u32).to_be_bytes(), &body].concat();
        self.sub(0x21, id, &rest);
    }

    pub fn objects(&mut self, id: u64, class: u64, elements: &[u64]) {
        let count = (elements.len() as u32).to_be_bytes();
        let mut rest = [&[0; 4][..], &count, &self.id(class)].concat();
        elements.iter().for_each(|id| File::id_to(&mut rest, *id, self.id));
        self.sub(0x22, id, &rest);
    }

    pub fn primitives(&mut self, id: u64, ty: u8, count: u32, values: &[u8]) {
        let rest = [&[0; 4][..], &count.to_be_bytes(), &[ty], values].concat();
        self.sub(0x23, id, &rest);
    }

    /// Writes the sub-records so far as one record: HEAP_DUMP or a segment.
    pub fn flush(&mut self, tag: u8) {
        let heap = std::mem::take(&mut self.heap);
        self.record(tag, &heap);
    }
}
