/// A named text in a PNG file (tEXt, zTXt or iTXt).
public struct TextChunk: Sendable, Equatable {
    /// 1 to 79 characters of Latin-1.
    public let keyword: String
    public let text: String

    public init(keyword: String, text: String) {
        self.keyword = keyword
        self.text = text
    }
}

extension String {
    /// Latin-1: each byte is the Unicode scalar of that number.
    init(latin1 bytes: some Sequence<UInt8>) {
        self.init(String.UnicodeScalarView(bytes.map { Unicode.Scalar($0) }))
    }

    /// The bytes of the text in Latin-1, or nil if it has a character beyond it.
    var latin1: [UInt8]? {
        var bytes: [UInt8] = []
        for scalar in unicodeScalars {
            guard let byte = UInt8(exactly: scalar.value) else { return nil }
            bytes.append(byte)
        }
        return bytes
    }

    /// The text that a C library left in a buffer of its message's size.
    init(message: [CChar]) {
        self.init(decoding: message.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
}
