import Failures

/// The vocabulary and merges of a tokenizer folder, verified.
struct TokenizerVocabulary {
    private static let endOfWord: [UInt8] = Array("</w>".utf8)

    private let file: String
    /// Ids by a token's UTF-8, in the alphabet that stands for bytes.
    private let ids: [[UInt8]: Int32]
    private let merges: [UInt64: BytePairEncoding.Merge]

    init(files: TokenizerFiles, vocabularySize: Int) throws {
        let vocabulary: OrderedJSON
        let entry: String
        let pairs: [MergeEntry]
        if let tokenizer = files.tokenizer {
            file = files.path("tokenizer.json")
            let model = try Self.model(of: tokenizer, file: file)
            guard let stated = model["vocab"] else {
                throw Failure.badData(file: file, key: "model.vocab", expected: "an object", found: "nothing")
            }
            vocabulary = stated
            entry = "model.vocab"
            pairs = try MergeEntry.entries(of: model, file: file)
        } else {
            file = files.path("vocab.json")
            vocabulary = try files.vocabulary()
            entry = "the vocabulary"
            pairs = try files.merges()
        }
        ids = try Self.ids(of: vocabulary, file: file, entry: entry, vocabularySize: vocabularySize)
        merges = try Self.merges(pairs, ids: ids)
    }

    /// The number of tokens: the reference gives an added token that the vocabulary lacks this id.
    var count: Int { ids.count }

    func id(of token: String) -> Int32? { ids[Array(token.utf8)] }

    /// - Parameter unknownToken: stands for a byte that the vocabulary has no token for.
    func encoding(unknownToken: String) throws -> BytePairEncoding {
        let unknown = self.id(of: unknownToken)
        func id(_ byte: UInt8, suffix: [UInt8]) throws -> Int32 {
            let symbol = Array(String(Self.character(of: byte)).utf8) + suffix
            if let id = ids[symbol] ?? unknown { return id }
            throw Failure.badData(
                "\(file): expected the token \(OrderedJSON.quoted(String(decoding: symbol, as: UTF8.self))) or the unknown token "
                    + "\(OrderedJSON.quoted(unknownToken)), found neither; this is no CLIP vocabulary")
        }
        return BytePairEncoding(
            bytes: try (0...255).map { try id($0, suffix: []) },
            finalBytes: try (0...255).map { try id($0, suffix: Self.endOfWord) },
            merges: merges)
    }

    /// The character that stands for a byte in GPT-2's and CLIP's vocabularies: itself if it is printable Latin-1 and
    /// no space, else the next one free from U+0100 on.
    private static func character(of byte: UInt8) -> Unicode.Scalar {
        switch byte {
        case 0x21...0x7E, 0xA1...0xAC, 0xAE...0xFF: Unicode.Scalar(byte)
        case 0x00...0x20: Unicode.Scalar(UInt16(byte) + 0x100) ?? "\u{FFFD}"
        case 0x7F...0xA0: Unicode.Scalar(UInt16(byte) - 0x7F + 0x121) ?? "\u{FFFD}"
        default: "\u{143}"
        }
    }

    private static func model(of tokenizer: OrderedJSON, file: String) throws -> OrderedJSON {
        guard let model = tokenizer["model"], case .object = model else {
            throw Failure.badData(
                file: file, key: "model", expected: "an object",
                found: tokenizer["model"]?.summary ?? "nothing")
        }
        if let type = model["type"], type.string != "BPE" {
            throw Failure.badData(file: file, key: "model.type", expected: "\"BPE\"", found: type.summary)
        }
        return model
    }

    private static func ids(
        of vocabulary: OrderedJSON, file: String, entry: String, vocabularySize: Int
    ) throws -> [[UInt8]: Int32] {
        guard case .object(let members) = vocabulary, !members.isEmpty else {
            throw Failure.badData(
                file: file, key: entry, expected: "an object of tokens and ids", found: vocabulary.summary)
        }
        var ids: [[UInt8]: Int32] = [:]
        ids.reserveCapacity(members.count)
        var owners: [Int32: String] = [:]
        owners.reserveCapacity(members.count)
        for member in members {
            guard let value = member.value.integer, value >= 0, value < vocabularySize, let id = Int32(exactly: value)
            else {
                throw Failure.badData(
                    file: file, key: "token \(OrderedJSON.quoted(member.key))",
                    expected: "an id from 0 to \(vocabularySize - 1), below the text encoder's vocab_size",
                    found: member.value.summary)
            }
            if let owner = owners.updateValue(member.key, forKey: id) {
                throw Failure.badData(
                    "\(file): id \(id) belongs to both \(OrderedJSON.quoted(owner)) and \(OrderedJSON.quoted(member.key)); each id is to be "
                        + "used once")
            }
            ids[Array(member.key.utf8)] = id
        }
        return ids
    }

    private static func merges(
        _ entries: [MergeEntry], ids: [[UInt8]: Int32]
    ) throws -> [UInt64: BytePairEncoding.Merge] {
        var merges: [UInt64: BytePairEncoding.Merge] = [:]
        merges.reserveCapacity(entries.count)
        for (rank, entry) in entries.enumerated() {
            func id(_ token: [UInt8]) throws -> Int32 {
                if let id = ids[token] { return id }
                throw Failure.badData(
                    file: entry.file, key: entry.place, expected: "tokens of the vocabulary",
                    found: OrderedJSON.quoted(String(decoding: token, as: UTF8.self)))
            }
            let pair = BytePairEncoding.pair(try id(entry.left), try id(entry.right))
            let merge = BytePairEncoding.Merge(rank: Int32(rank), result: try id(entry.left + entry.right))
            guard merges.updateValue(merge, forKey: pair) == nil else {
                throw Failure.badData(
                    file: entry.file, key: entry.place, expected: "a merge that is not listed before",
                    found: OrderedJSON.quoted(String(decoding: entry.left + [0x20] + entry.right, as: UTF8.self)))
            }
        }
        return merges
    }
}
