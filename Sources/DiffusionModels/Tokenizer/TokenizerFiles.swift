import Failures
import Foundation

/// The files of a tokenizer folder, read once, with bounds: they may come from anyone.
struct TokenizerFiles {
    /// CLIP's own largest file, `tokenizer.json`, has 4 MB.
    private static let largestFile = 64 << 20

    let folder: String
    /// CLIP's own, where only its merges are there.
    private let clip: CLIPVocabulary?
    /// `tokenizer.json`; where it is there the vocabulary is taken from it.
    let tokenizer: OrderedJSON?
    let configuration: OrderedJSON?
    let specialTokensMap: OrderedJSON?
    let addedTokens: OrderedJSON?

    init(folder: String) throws {
        self.folder = folder
        clip = nil
        guard FileKind(at: folder) == .folder else {
            throw Failure.missingInput(
                "\(folder): no such folder; a diffusers model has its tokenizer's files in 'tokenizer'")
        }
        tokenizer = try Self.readJSON("tokenizer.json", in: folder)
        configuration = try Self.readJSON("tokenizer_config.json", in: folder)
        specialTokensMap = try Self.readJSON("special_tokens_map.json", in: folder)
        addedTokens = try Self.readJSON("added_tokens.json", in: folder)
    }

    /// CLIP's tokenizer, of which the folder holds the merges alone.
    ///
    /// - Parameter paddingToken: the token that fills a prompt up, which Stable Diffusion's versions choose.
    init(clip folder: String, paddingToken: String) throws {
        self.folder = folder
        clip = try CLIPVocabulary(folder: folder)
        configuration = .object([
            .init(key: "model_max_length", value: .number("\(CLIPVocabulary.contextLength)")),
            .init(key: "pad_token", value: .string(paddingToken)),
        ])
        tokenizer = nil
        specialTokensMap = nil
        addedTokens = nil
    }

    /// The tokens with their ids, where no `tokenizer.json` has them.
    func vocabulary() throws -> OrderedJSON {
        if let clip {
            return .object(clip.tokens.enumerated().map { .init(key: $1, value: .number("\($0)")) })
        }
        return try requiredJSON("vocab.json")
    }

    /// The merges, where no `tokenizer.json` has them.
    func merges() throws -> [MergeEntry] {
        try clip?.merges ?? MergeEntry.entries(ofText: requiredText("merges.txt"), file: path("merges.txt"))
    }

    func path(_ name: String) -> String { Self.path(name, in: folder) }

    static func path(_ name: String, in folder: String) -> String {
        folder.hasSuffix("/") ? folder + name : folder + "/" + name
    }

    /// The object in the file `name`, which must be there.
    private func requiredJSON(_ name: String) throws -> OrderedJSON {
        if let json = try Self.readJSON(name, in: folder) { return json }
        throw missing(name)
    }

    private func requiredText(_ name: String) throws -> String {
        guard let text = try Self.text(name, in: folder) else { throw missing(name) }
        return text
    }

    /// The text of a file; nil if there is none.
    static func text(_ name: String, in folder: String) throws -> String? {
        let path = path(name, in: folder)
        guard let bytes = try read(path) else { return nil }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw Failure.badData("\(path): not UTF-8 text; fetch the file again")
        }
        return text
    }

    /// Bad data among the special tokens, which either file may state.
    func badConfiguration(key: String, expected: String, found: String) -> Failure {
        let statedInMap = specialTokensMap?[key] != nil && configuration?["added_tokens_decoder"] == nil
        let name = statedInMap ? "special_tokens_map.json" : "tokenizer_config.json"
        return .badData(file: path(name), key: key, expected: expected, found: found)
    }

    private func missing(_ name: String) -> Failure {
        .missingInput(
            "\(path(name)): no such file; a tokenizer folder holds tokenizer.json, or vocab.json and merges.txt")
    }

    private static func readJSON(_ name: String, in folder: String) throws -> OrderedJSON? {
        let path = path(name, in: folder)
        guard let bytes = try read(path) else { return nil }
        let json = try OrderedJSON(parsing: bytes, file: path)
        guard case .object = json else {
            throw Failure.badData("\(path): expected a JSON object, found \(json.summary)")
        }
        return json
    }

    /// The bytes of a regular file of bearable size, nil if there is none.
    private static func read(_ path: String) throws -> [UInt8]? {
        guard FileManager.default.fileExists(atPath: path) else { return nil }
        return try RegularFile.contents(of: path, expected: "a file of a CLIP tokenizer", atMost: largestFile)
    }
}
