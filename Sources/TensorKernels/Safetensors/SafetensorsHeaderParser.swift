import Failures

/// The header of a safetensors file as it stands there, before its offsets are checked.
struct SafetensorsHeader {
    struct Entry {
        let name: String
        let elementType: String
        let shape: [Int]
        let begin: Int
        let end: Int
    }

    var metadata: [String: String] = [:]
    var entries: [Entry] = []
}

/// What is wrong with a header, and at which byte of it.
struct SafetensorsHeaderError: Error {
    let position: Int
    let expected: String
    let found: String
}

/// Reads the one form of JSON that a safetensors header has:
/// `{name: {"dtype": string, "shape": [integers], "data_offsets": [begin, end]}, "__metadata__": {string: string}}`.
///
/// General JSON readers keep the last of two equal keys, which lets a file show different tensors to different
/// programs, accept numbers that are not integers, and recurse as deep as a stranger likes. This one refuses a key
/// that comes twice, anything that the form above does not have, and never recurses.
struct SafetensorsHeaderParser {
    /// More dimensions than any checkpoint has; it keeps the cost of one entry bounded.
    static let maximumRank = 8

    private let bytes: UnsafeRawBufferPointer
    private var position = 0

    static func parse(_ bytes: UnsafeRawBufferPointer) throws -> SafetensorsHeader {
        var parser = SafetensorsHeaderParser(bytes: bytes)
        return try parser.header()
    }

    private init(bytes: UnsafeRawBufferPointer) {
        self.bytes = bytes
    }

    private mutating func header() throws -> SafetensorsHeader {
        var header = SafetensorsHeader()
        try object { parser, name in
            if name == "__metadata__" {
                try parser.object { parser, key in header.metadata[key] = try parser.string() }
            } else {
                header.entries.append(try parser.entry(name))
            }
        }
        skipWhitespace()
        if position < bytes.count { throw unexpected("the end of the header") }
        return header
    }

    private mutating func entry(_ name: String) throws -> SafetensorsHeader.Entry {
        var elementType: String?
        var shape: [Int]?
        var offsets: [Int]?
        try object { parser, key in
            switch key {
            case "dtype": elementType = try parser.string()
            case "shape": shape = try parser.integers(atMost: Self.maximumRank)
            case "data_offsets": offsets = try parser.integers(atMost: 2)
            default: throw parser.fault("dtype, shape or data_offsets", "the key \(quoted(key)) for \(quoted(name))")
            }
        }
        guard let elementType, let shape, let offsets, offsets.count == 2 else {
            throw fault("dtype, shape and two data_offsets for \(quoted(name))", "less")
        }
        return SafetensorsHeader.Entry(
            name: name, elementType: elementType, shape: shape, begin: offsets[0], end: offsets[1])
    }

    /// `{"key": value, ...}`; `value` reads the value after each key.
    private mutating func object(_ value: (inout SafetensorsHeaderParser, String) throws -> Void) throws {
        try expect("{")
        var keys: Set<String> = []
        skipWhitespace()
        if next("}") { return }
        repeat {
            let key = try string()
            guard keys.insert(key).inserted else { throw fault("every key once", "\(quoted(key)) twice") }
            try expect(":")
            try value(&self, key)
            skipWhitespace()
        } while next(",")
        try expect("}")
    }

    private mutating func integers(atMost limit: Int) throws -> [Int] {
        try expect("[")
        var values: [Int] = []
        skipWhitespace()
        if next("]") { return values }
        repeat {
            if values.count == limit { throw fault("at most \(limit) numbers", "more") }
            values.append(try integer())
            skipWhitespace()
        } while next(",")
        try expect("]")
        return values
    }

    private mutating func integer() throws -> Int {
        skipWhitespace()
        let start = position
        var value = 0
        while position < bytes.count, case let digit = Int(bytes[position]) - 0x30, (0...9).contains(digit) {
            let (product, overflows) = value.multipliedReportingOverflow(by: 10)
            let (sum, overflowsToo) = product.addingReportingOverflow(digit)
            if overflows || overflowsToo { throw fault("a number below 2^63", "a larger one") }
            value = sum
            position += 1
        }
        let digits = position - start
        if digits == 0 || (digits > 1 && bytes[start] == UInt8(ascii: "0")) {
            throw unexpected("a non-negative integer")
        }
        return value
    }

    private mutating func string() throws -> String {
        try expect("\"")
        var content: [UInt8] = []
        while position < bytes.count {
            let byte = bytes[position]
            position += 1
            switch byte {
            case UInt8(ascii: "\""):
                guard let text = String(validating: content, as: UTF8.self) else {
                    throw fault("text in UTF-8", "other bytes")
                }
                return text
            case UInt8(ascii: "\\"):
                content.append(contentsOf: try escapedCharacter().utf8)
            case 0..<0x20:
                throw fault("printable characters in a string", "a control character")
            default:
                content.append(byte)
            }
        }
        throw unexpected("the end of a string")
    }

    /// What follows a backslash.
    private mutating func escapedCharacter() throws -> Character {
        guard position < bytes.count else { throw unexpected("an escaped character") }
        let byte = bytes[position]
        position += 1
        switch byte {
        case UInt8(ascii: "\""): return "\""
        case UInt8(ascii: "\\"): return "\\"
        case UInt8(ascii: "/"): return "/"
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{c}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"): return Character(try escapedScalar())
        default: throw fault("an escape that JSON has", "another")
        }
    }

    /// The four hexadecimal digits after `\u`, and a second such escape where they are half of a surrogate pair.
    private mutating func escapedScalar() throws -> Unicode.Scalar {
        var code = try hexadecimal()
        if (0xd800..<0xdc00).contains(code), next("\\"), next("u") {
            let low = try hexadecimal()
            guard (0xdc00..<0xe000).contains(low) else { throw fault("a surrogate pair", "half of one") }
            code = 0x10000 + (code - 0xd800) << 10 + (low - 0xdc00)
        }
        guard let scalar = Unicode.Scalar(code) else { throw fault("a Unicode character", "half a surrogate pair") }
        return scalar
    }

    private mutating func hexadecimal() throws -> UInt32 {
        var value: UInt32 = 0
        for _ in 0..<4 {
            guard position < bytes.count, let digit = Character(Unicode.Scalar(bytes[position])).hexDigitValue else {
                throw unexpected("four hexadecimal digits")
            }
            value = value << 4 | UInt32(digit)
            position += 1
        }
        return value
    }

    private mutating func expect(_ character: Unicode.Scalar) throws {
        skipWhitespace()
        if !next(character) { throw unexpected("'\(character)'") }
    }

    private mutating func next(_ character: Unicode.Scalar) -> Bool {
        guard position < bytes.count, bytes[position] == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }

    private mutating func skipWhitespace() {
        while position < bytes.count, [0x20, 0x09, 0x0a, 0x0d].contains(bytes[position]) { position += 1 }
    }

    private func fault(_ expected: String, _ found: String) -> SafetensorsHeaderError {
        SafetensorsHeaderError(position: position, expected: expected, found: found)
    }

    private func unexpected(_ expected: String) -> SafetensorsHeaderError {
        guard position < bytes.count else { return fault(expected, "the end of the header") }
        let byte = bytes[position]
        let isPrintable = (0x21..<0x7f).contains(byte)
        let found = isPrintable ? "'\(Character(Unicode.Scalar(byte)))'" : "the byte 0x\(String(byte, radix: 16))"
        return fault(expected, found)
    }
}
