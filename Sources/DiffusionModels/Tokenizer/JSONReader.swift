import Failures

/// Reads one JSON document (RFC 8259), with a bound on nesting so that a hostile file can't exhaust the stack.
struct JSONReader {
    private static let deepestNesting = 64

    private let bytes: [UInt8]
    private let file: String
    private let advice: String
    private var position = 0

    init(bytes: [UInt8], file: String, advice: String) {
        self.bytes = bytes
        self.file = file
        self.advice = advice
    }

    mutating func document() throws -> OrderedJSON {
        let value = try value(depth: 0)
        skipSpace()
        guard position == bytes.count else { throw failure("the end") }
        return value
    }

    private func failure(_ expected: String) -> Failure {
        let found = position < bytes.count ? "byte 0x\(String(bytes[position], radix: 16))" : "the end"
        return .badData(
            "\(file): not valid JSON at byte \(position): expected \(expected), found \(found)\(advice)")
    }

    private mutating func skipSpace() {
        while position < bytes.count, [0x20, 0x0A, 0x0D, 0x09].contains(bytes[position]) { position += 1 }
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard position < bytes.count, bytes[position] == byte else { return false }
        position += 1
        return true
    }

    private mutating func value(depth: Int) throws -> OrderedJSON {
        guard depth < Self.deepestNesting else { throw failure("at most \(Self.deepestNesting) nested values") }
        skipSpace()
        guard position < bytes.count else { throw failure("a value") }
        switch bytes[position] {
        case UInt8(ascii: "{"): return try object(depth: depth)
        case UInt8(ascii: "["): return try array(depth: depth)
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try word("true", .boolean(true))
        case UInt8(ascii: "f"): return try word("false", .boolean(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        default: return try number()
        }
    }

    private mutating func word(_ spelling: StaticString, _ value: OrderedJSON) throws -> OrderedJSON {
        let length = spelling.utf8CodeUnitCount
        let matches = spelling.withUTF8Buffer { bytes[position...].starts(with: $0) }
        guard matches else { throw failure("a value") }
        position += length
        return value
    }

    private mutating func object(depth: Int) throws -> OrderedJSON {
        position += 1
        var members: [OrderedJSON.Member] = []
        var keys: Set<[UInt8]> = []
        skipSpace()
        if take(UInt8(ascii: "}")) { return .object(members) }
        repeat {
            skipSpace()
            guard position < bytes.count, bytes[position] == UInt8(ascii: "\"") else { throw failure("a key") }
            let key = try string()
            guard keys.insert(Array(key.utf8)).inserted else {
                throw Failure.badData(
                    "\(file): the key \(OrderedJSON.quoted(key)) is there twice\(advice)")
            }
            skipSpace()
            guard take(UInt8(ascii: ":")) else { throw failure("':'") }
            members.append(.init(key: key, value: try value(depth: depth + 1)))
            skipSpace()
        } while take(UInt8(ascii: ","))
        guard take(UInt8(ascii: "}")) else { throw failure("',' or '}'") }
        return .object(members)
    }

    private mutating func array(depth: Int) throws -> OrderedJSON {
        position += 1
        var values: [OrderedJSON] = []
        skipSpace()
        if take(UInt8(ascii: "]")) { return .array(values) }
        repeat {
            values.append(try value(depth: depth + 1))
            skipSpace()
        } while take(UInt8(ascii: ","))
        guard take(UInt8(ascii: "]")) else { throw failure("',' or ']'") }
        return .array(values)
    }

    private mutating func number() throws -> OrderedJSON {
        let start = position
        while position < bytes.count, isNumeric(bytes[position]) { position += 1 }
        let spelling = String(decoding: bytes[start..<position], as: UTF8.self)
        guard Double(spelling) != nil, isJSONSpelling(bytes[start..<position]) else {
            position = start
            throw failure("a value")
        }
        return .number(spelling)
    }

    /// Swift reads more spellings of numbers than JSON has: +1, 01, 1. and .5, too.
    private func isJSONSpelling(_ number: ArraySlice<UInt8>) -> Bool {
        func isDigit(_ byte: UInt8?) -> Bool {
            byte.map { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) } ?? false
        }
        let magnitude = number.first == UInt8(ascii: "-") ? number.dropFirst() : number
        guard isDigit(magnitude.first) else { return false }
        if magnitude.first == UInt8(ascii: "0"), isDigit(magnitude.dropFirst().first) { return false }
        guard let point = magnitude.firstIndex(of: UInt8(ascii: ".")) else { return true }
        return isDigit(magnitude[(point + 1)...].first)
    }

    private func isNumeric(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "+"), UInt8(ascii: "."),
            UInt8(ascii: "e"), UInt8(ascii: "E"):
            true
        default: false
        }
    }

    private mutating func string() throws -> String {
        position += 1
        var content: [UInt8] = []
        while position < bytes.count {
            let byte = bytes[position]
            switch byte {
            case UInt8(ascii: "\""):
                position += 1
                guard let text = String(validating: content, as: UTF8.self) else { throw failure("text in UTF-8") }
                return text
            case UInt8(ascii: "\\"):
                try appendEscape(to: &content)
            case 0..<0x20:
                throw failure("an escaped control character")
            default:
                content.append(byte)
                position += 1
            }
        }
        throw failure("'\"'")
    }

    private mutating func appendEscape(to content: inout [UInt8]) throws {
        position += 1
        guard position < bytes.count else { throw failure("an escape") }
        let byte = bytes[position]
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): content.append(byte)
        case UInt8(ascii: "b"): content.append(0x08)
        case UInt8(ascii: "f"): content.append(0x0C)
        case UInt8(ascii: "n"): content.append(0x0A)
        case UInt8(ascii: "r"): content.append(0x0D)
        case UInt8(ascii: "t"): content.append(0x09)
        case UInt8(ascii: "u"):
            let scalar = try escapedScalar()
            content.append(contentsOf: Array(String(scalar).utf8))
            return
        default: throw failure("an escape")
        }
        position += 1
    }

    /// `position` is at the `u` of an escape; a surrogate must be followed by its other half.
    private mutating func escapedScalar() throws -> Unicode.Scalar {
        let first = try codeUnit()
        if let scalar = Unicode.Scalar(first) { return scalar }
        guard (0xD800..<0xDC00).contains(first), take(UInt8(ascii: "\\")), position < bytes.count,
            bytes[position] == UInt8(ascii: "u")
        else { throw failure("the other half of a surrogate pair") }
        let second = try codeUnit()
        guard (0xDC00..<0xE000).contains(second),
            let scalar = Unicode.Scalar(0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00))
        else { throw failure("the other half of a surrogate pair") }
        return scalar
    }

    private mutating func codeUnit() throws -> UInt32 {
        let digits = bytes[(position + 1)...].prefix(4)
        guard digits.count == 4, !digits.contains(UInt8(ascii: "+")), !digits.contains(UInt8(ascii: "-")),
            let unit = UInt32(String(decoding: digits, as: UTF8.self), radix: 16)
        else { throw failure("four hexadecimal digits") }
        position += 5
        return unit
    }
}
