import Failures

/// The special and added tokens that a tokenizer folder states, in the order in which transformers adds them.
struct SpecialTokens {
    /// The roles that transformers names, with CLIP's defaults for those that CLIP has.
    private static let roles: [(key: String, standard: String?)] = [
        ("bos_token", "<|startoftext|>"), ("eos_token", "<|endoftext|>"), ("unk_token", "<|endoftext|>"),
        ("sep_token", nil), ("pad_token", "<|endoftext|>"), ("cls_token", nil), ("mask_token", nil),
    ]

    let modelMaximumLength: Int?
    /// Special tokens inside a prompt are plain text.
    let splitsSpecialTokens: Bool
    private let files: TokenizerFiles
    private var tokens: [AddedToken] = []
    private var contents: [String: String] = [:]

    init(files: TokenizerFiles) throws {
        self.files = files
        let configuration = files.configuration
        for key in ["padding_side", "truncation_side"] {
            guard let side = configuration?[key] else { continue }
            guard side.string == "right" else {
                throw files.badConfiguration(
                    key: key, expected: "\"right\", the only side known here", found: side.summary)
            }
        }
        splitsSpecialTokens = configuration?["split_special_tokens"]?.boolean ?? false
        // transformers writes 1e30 for "no limit", which is no integer.
        modelMaximumLength = configuration?["model_max_length"]?.integer
        if let length = modelMaximumLength, length < 2 {
            throw files.badConfiguration(
                key: "model_max_length", expected: "at least 2, for the start and the end token", found: "\(length)")
        }
        let named = try Self.named(files: files)
        for token in try Self.stated(files: files, special: Set(named.map { Array($0.token.content.utf8) })) {
            add(token)
        }
        for (key, token) in named {
            contents[key] = token.content
            add(token)
        }
        for token in try Self.extra(files: files) { add(token) }
    }

    /// The token in a role such as `pad_token`.
    func content(of key: String) throws -> String {
        guard let content = contents[key] else {
            throw files.badConfiguration(key: key, expected: "a token", found: "null")
        }
        return content
    }

    /// Every token with its id: the vocabulary's, or for one that it lacks the next one free.
    func numbered(in vocabulary: TokenizerVocabulary, vocabularySize: Int) throws -> [(token: AddedToken, id: Int32)] {
        var next = vocabulary.count
        let numbered = try tokens.map { token in
            if let id = vocabulary.id(of: token.content) {
                next = max(next, Int(id) + 1)
                return (token, id)
            }
            guard next < vocabularySize, let id = Int32(exactly: next) else {
                throw Failure.badData(
                    "\(files.folder): the vocabulary has no token \(OrderedJSON.quoted(token.content)), and a new one would get id "
                        + "\(next), beyond the text encoder's vocab_size \(vocabularySize); the tokenizer and the text "
                        + "encoder are of different models, or a file is incomplete")
            }
            next += 1
            return (token, id)
        }
        // Special ones first: of two that normalise to the same text, a special one is taken.
        return numbered.filter(\.0.isSpecial) + numbered.filter { !$0.0.isSpecial }
    }

    private mutating func add(_ token: AddedToken) {
        let isKnown = tokens.contains { $0.content.utf8.elementsEqual(token.content.utf8) }
        if !isKnown { tokens.append(token) }
    }

    /// Whether `special_tokens_map.json`, `added_tokens.json` and the tokens of `tokenizer.json` count.
    private static func readsOlderFiles(_ files: TokenizerFiles) -> Bool {
        files.configuration?["added_tokens_decoder"] == nil
    }

    private static func named(files: TokenizerFiles) throws -> [(key: String, token: AddedToken)] {
        var named: [(String, AddedToken)] = []
        for (key, standard) in roles {
            let fromMap = readsOlderFiles(files) ? files.specialTokensMap?[key] : nil
            if let value = fromMap ?? files.configuration?[key] {
                if value == .null { continue }
                named.append((key, try token(value, key: key, files: files, specialByDefault: fromMap != nil)))
            } else if let standard {
                named.append((key, AddedToken(content: standard, isNormalized: false, isSpecial: true)))
            }
        }
        if case .object(let members)? = files.configuration {
            for member in members where member.key.hasSuffix("_token") && member.value.string != nil {
                if roles.contains(where: { $0.key == member.key }) { continue }
                named.append((member.key, try token(member.value, key: member.key, files: files)))
            }
        }
        return named
    }

    /// The tokens that a file lists with ids, by id.
    private static func stated(files: TokenizerFiles, special: Set<[UInt8]>) throws -> [AddedToken] {
        var stated: [Int: AddedToken] = [:]
        func insert(_ token: AddedToken, id: Int?, key: String) throws {
            guard let id, id >= 0 else {
                throw files.badConfiguration(key: key, expected: "an id", found: OrderedJSON.quoted(key))
            }
            var token = token
            if special.contains(Array(token.content.utf8)) { token.isSpecial = true }
            stated[id] = token
        }
        if case .object(let members)? = files.configuration?["added_tokens_decoder"] {
            for member in members {
                let key = "added_tokens_decoder.\(member.key)"
                let token = try token(member.value, key: key, files: files, specialByDefault: false)
                try insert(token, id: Int(member.key), key: key)
            }
        }
        guard readsOlderFiles(files) else { return stated.sorted { $0.key < $1.key }.map(\.value) }
        if case .object(let members)? = files.addedTokens {
            for member in members {
                let isSpecial = special.contains(Array(member.key.utf8))
                let token = AddedToken(content: member.key, isNormalized: !isSpecial, isSpecial: isSpecial)
                try insert(token, id: member.value.integer, key: member.key)
            }
        }
        if case .array(let values)? = files.tokenizer?["added_tokens"] {
            for (index, value) in values.enumerated() {
                let key = "added_tokens[\(index)]"
                let token = try token(value, key: key, files: files, specialByDefault: false)
                try insert(token, id: value["id"]?.integer, key: key)
            }
        }
        return stated.sorted { $0.key < $1.key }.map(\.value)
    }

    private static func extra(files: TokenizerFiles) throws -> [AddedToken] {
        for key in ["extra_special_tokens", "additional_special_tokens"] {
            let fromMap = readsOlderFiles(files) ? files.specialTokensMap?[key] : nil
            guard let value = fromMap ?? files.configuration?[key] else { continue }
            switch value {
            case .array(let values) where !values.isEmpty:
                return try values.map { try token($0, key: key, files: files) }
            case .object(let members) where !members.isEmpty:
                return try members.map { try token($0.value, key: "\(key).\($0.key)", files: files) }
            default: continue
            }
        }
        return []
    }

    /// A token stated as its text, or as an object with the members of transformers' `AddedToken`.
    private static func token(
        _ value: OrderedJSON, key: String, files: TokenizerFiles, specialByDefault: Bool = true
    ) throws -> AddedToken {
        let isObject = value["content"] != nil
        guard let content = isObject ? value["content"]?.string : value.string, !content.isEmpty else {
            throw files.badConfiguration(key: key, expected: "a token", found: value.summary)
        }
        guard isObject else { return AddedToken(content: content, isNormalized: false, isSpecial: true) }
        let isSpecial = value["special"]?.boolean ?? specialByDefault
        return AddedToken(
            content: content,
            singleWord: value["single_word"]?.boolean ?? false,
            stripsLeft: value["lstrip"]?.boolean ?? false,
            stripsRight: value["rstrip"]?.boolean ?? false,
            isNormalized: value["normalized"]?.boolean ?? !isSpecial,
            isSpecial: isSpecial)
    }
}
