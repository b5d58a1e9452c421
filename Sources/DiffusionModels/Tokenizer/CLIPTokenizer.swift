/// CLIP's tokenizer: byte-level byte-pair encoding of lower-cased words.
///
/// Gives the ids of `CLIPTokenizer` in transformers 5 (tokenizers 0.23) for any Unicode text:
/// 1. added tokens that are not normalised are found in the text as written;
/// 2. what lies between is brought to NFC, runs of white space become one space, letters become lower case;
/// 3. normalised added tokens are found there;
/// 4. the rest is split by CLIP's pattern into words, each encoded byte by byte.
///
/// The older `CLIPTokenizer` in Python (transformers 4) first ran ftfy over the text, or without it BERT's basic
/// tokenizer, which drops control characters and separates CJK ideographs and punctuation; on text that needs no
/// mending the ids agree, and where they do not the current one is followed. Neither knows weights: `(a cat:1.2)` is
/// plain text here, and `PromptReader`'s to read.
public struct CLIPTokenizer: Sendable {
    /// `<|startoftext|>`, the first token of every prompt.
    public let startToken: Int32
    /// `<|endoftext|>`, after the last token of the prompt; the text encoder pools there.
    public let endToken: Int32
    /// What fills the rest of the context: the end token in SD1.x, `!` (0) in SD2.x.
    public let padToken: Int32
    /// The context length that `tokenizer_config.json` states; nil if it states none.
    public let modelMaximumLength: Int?

    /// `,` as a word; nil if the vocabulary has none.
    let commaToken: Int32?

    private let writtenTokens: AddedTokenMatcher
    private let normalizedTokens: AddedTokenMatcher
    private let encoding: BytePairEncoding

    /// Reads the `tokenizer` folder of a diffusers model.
    ///
    /// The vocabulary is that of `tokenizer.json`, as transformers has it, or without such a file that of `vocab.json`
    /// and `merges.txt`. Special and added tokens come from these, `tokenizer_config.json`, `special_tokens_map.json`
    /// and `added_tokens.json`, each optional.
    ///
    /// - Parameters:
    ///   - folder: path of the folder.
    ///   - vocabularySize: the text encoder's `vocab_size`; every id must be below it.
    /// - Throws: `Failure`: missing input if a file is not there; bad data, naming file and entry, if one is malformed,
    ///   an id is used twice or out of range, a merge names an unknown token, or a special token is missing.
    public init(folder: String, vocabularySize: Int) throws {
        try self.init(TokenizerFiles(folder: folder), vocabularySize: vocabularySize)
    }

    init(_ files: TokenizerFiles, vocabularySize: Int) throws {
        let vocabulary = try TokenizerVocabulary(files: files, vocabularySize: vocabularySize)
        let special = try SpecialTokens(files: files)
        let added = try special.numbered(in: vocabulary, vocabularySize: vocabularySize)
        func id(of key: String) throws -> Int32 {
            let content = try special.content(of: key)
            guard let id = added.first(where: { $0.token.content.utf8.elementsEqual(content.utf8) })?.id else {
                throw files.badConfiguration(
                    key: key, expected: "a token of the vocabulary", found: OrderedJSON.quoted(content))
            }
            return id
        }
        startToken = try id(of: "bos_token")
        endToken = try id(of: "eos_token")
        padToken = try id(of: "pad_token")
        modelMaximumLength = special.modelMaximumLength
        commaToken = vocabulary.id(of: ",</w>")
        let matched = special.splitsSpecialTokens ? added.filter { !$0.token.isSpecial } : added
        writtenTokens = AddedTokenMatcher(matched, normalized: false)
        normalizedTokens = AddedTokenMatcher(matched, normalized: true)
        encoding = try vocabulary.encoding(unknownToken: special.content(of: "unk_token"))
    }

    /// The ids of `text`, without start, end and padding; added tokens in it are recognised.
    public func encode(_ text: String) -> [Int32] {
        tokens(of: text).map(\.id)
    }

    /// Start, a prompt's tokens, end, and padding up to the text encoder's context.
    ///
    /// - Precondition: start, tokens and end fit.
    func filled(_ tokens: [Int32], to contextLength: Int) -> [Int32] {
        let ids = [startToken] + tokens + [endToken]
        precondition(ids.count <= contextLength, "a context holds start, tokens and end")
        return ids + [Int32](repeating: padToken, count: contextLength - ids.count)
    }

    /// The end of a text, from one of its scalars on.
    static func quote(_ text: String, from origin: Int) -> String {
        var rest = text.unicodeScalars.dropFirst(origin)
        while let last = rest.last, last.properties.isWhitespace { rest.removeLast() }
        return String(rest)
    }

    struct Token {
        let id: Int32
        /// Index of the scalar of the text at which the token starts.
        let origin: Int
    }

    /// The tokens of `text`, without start, end and padding.
    func tokens(of text: String) -> [Token] {
        var tokens: [Token] = []
        for piece in writtenTokens.split(PromptNormalization.sourced(text)) {
            guard case .text(let written) = piece else {
                append(piece, to: &tokens)
                continue
            }
            for piece in normalizedTokens.split(PromptNormalization.normalize(Array(written))) {
                append(piece, to: &tokens)
            }
        }
        return tokens
    }

    private func append(_ piece: AddedTokenMatcher.Piece, to tokens: inout [Token]) {
        switch piece {
        case .token(let id, let origin):
            tokens.append(Token(id: id, origin: origin))
        case .text(let scalars):
            for word in PromptWords.split(scalars) {
                var bytes: [UInt8] = []
                var origins: [Int] = []
                for item in scalars[word] {
                    for byte in UTF8.encode(item.scalar) ?? UTF8.encodedReplacementCharacter {
                        bytes.append(byte)
                        origins.append(item.origin)
                    }
                }
                for token in encoding.encode(bytes) {
                    tokens.append(Token(id: token.id, origin: origins[token.byte]))
                }
            }
        }
    }
}
