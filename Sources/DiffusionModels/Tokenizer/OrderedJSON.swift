/// A JSON value that keeps what a dictionary of strings would lose.
///
/// Members stay in file order and a repeated key is an error. Keys are UTF-8 bytes: Swift's strings compare by
/// canonical equivalence, under which two different vocabulary entries may be one.
package enum OrderedJSON: Equatable, Sendable {
    case null
    case boolean(Bool)
    /// The number as the file spells it.
    case number(String)
    case string(String)
    case array([OrderedJSON])
    case object([Member])

    package struct Member: Equatable, Sendable {
        package let key: String
        package let value: OrderedJSON
    }

    /// - Parameter advice: what an error ends with: what to do about it.
    /// - Throws: `Failure` of bad data, naming `file` and the byte, if this is not one JSON value in UTF-8.
    package init(parsing bytes: [UInt8], file: String, advice: String = "; fetch the file again") throws {
        var reader = JSONReader(bytes: bytes, file: file, advice: advice)
        self = try reader.document()
    }

    /// The value under `key`, nil if this is no object or has no such member.
    package subscript(key: String) -> OrderedJSON? {
        guard case .object(let members) = self else { return nil }
        return members.first { $0.key.utf8.elementsEqual(key.utf8) }?.value
    }

    package var string: String? {
        if case .string(let text) = self { text } else { nil }
    }

    package var boolean: Bool? {
        if case .boolean(let flag) = self { flag } else { nil }
    }

    package var integer: Int? {
        if case .number(let spelling) = self { Int(spelling) } else { nil }
    }

    /// What an error message calls this value.
    package var summary: String {
        switch self {
        case .null: "null"
        case .boolean(let flag): "\(flag)"
        case .number(let spelling): String(spelling.prefix(40))
        case .string(let text): Self.quoted(text)
        case .array(let values): "an array of \(values.count)"
        case .object(let members): "an object of \(members.count)"
        }
    }

    /// `text` in quotation marks, on one line and not longer than a line.
    static func quoted(_ text: String) -> String {
        let scalars = text.unicodeScalars
        let head = scalars.prefix(60).map { $0.escaped(asASCII: false) }.joined()
        return scalars.count > 60 ? "\"\(head)…\"" : "\"\(head)\""
    }
}
