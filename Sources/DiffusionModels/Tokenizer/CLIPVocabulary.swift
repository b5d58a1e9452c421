import Failures

/// CLIP's vocabulary, OpenAI's and OpenCLIP's, which follows from its merges: a token for each byte, for each byte at a
/// word's end, for each merge, and the two special ones.
struct CLIPVocabulary {
    static let start = "<|startoftext|>"
    static let end = "<|endoftext|>"
    static let endOfWord = "</w>"
    static let contextLength = 77
    private static let size = 49408
    private static let fileName = "merges.txt"

    /// The text of `merges.txt`.
    let text: String
    let merges: [MergeEntry]

    /// - Throws: `Failure`: missing input if the folder has no `merges.txt`; bad data if it is not CLIP's.
    init(folder: String) throws {
        let path = TokenizerFiles.path(Self.fileName, in: folder)
        guard let text = try TokenizerFiles.text(Self.fileName, in: folder) else {
            throw Failure.missingInput("\(path): no such file; it comes with the program: install it again")
        }
        self.text = text
        merges = try MergeEntry.entries(ofText: text, file: path)
        let expected = Self.size - 2 * Self.byteSymbols.count - 2
        guard merges.count == expected else {
            throw Failure.badData(
                "\(path): expected CLIP's \(expected) merges, found \(merges.count); it comes with the program: "
                    + "install it again")
        }
    }

    /// All tokens, in the order of their ids.
    var tokens: [String] {
        let symbols = Self.byteSymbols
        let merged = merges.map { String(decoding: $0.left + $0.right, as: UTF8.self) }
        return symbols + symbols.map { $0 + Self.endOfWord } + merged + [Self.start, Self.end]
    }

    /// A printable character per byte, in the order of GPT-2's and CLIP's vocabularies: first the bytes that are
    /// printable characters of Latin-1, then the others, which are given the characters from U+0100 on.
    static var byteSymbols: [String] {
        let printable = Array(0x21...0x7e) + Array(0xa1...0xac) + Array(0xae...0xff)
        let others = 0x100..<0x100 + (256 - printable.count)
        return (printable + others).compactMap { Unicode.Scalar($0).map(String.init) }
    }
}
