import Failures
import Foundation
import TensorKernels

/// Where a model's tokenizer comes from.
public enum TokenizerSource: Sendable {
    /// A folder with its files.
    case folder(String)
    /// CLIP's own, of which the folder has the merges, with this token to fill prompts up.
    case clip(folder: String, paddingToken: String)

    private static let fileNames = [
        "added_tokens.json", "merges.txt", "special_tokens_map.json", "tokenizer.json", "tokenizer_config.json",
        "vocab.json",
    ]

    /// - Parameter vocabularySize: the text encoder's `vocab_size`; every id must be below it.
    /// - Throws: as `CLIPTokenizer.init(folder:vocabularySize:)`.
    public func tokenizer(vocabularySize: Int) throws -> CLIPTokenizer {
        switch self {
        case .folder(let folder): try CLIPTokenizer(folder: folder, vocabularySize: vocabularySize)
        case .clip(let folder, let paddingToken):
            try CLIPTokenizer(
                TokenizerFiles(clip: folder, paddingToken: paddingToken), vocabularySize: vocabularySize)
        }
    }

    /// The model's own files that it is read from.
    public var files: [String] {
        guard case .folder(let folder) = self else { return [] }
        return Self.fileNames.map { "\(folder)/\($0)" }.filter(FileManager.default.fileExists(atPath:))
    }

    /// Writes a tokenizer folder of a diffusers model.
    /// - Throws: `Failure` if it can't be read or written.
    func write(to target: String) throws {
        switch self {
        case .folder:
            for file in files {
                let contents = try MappedFile(path: file)
                let name = URL(fileURLWithPath: file).lastPathComponent
                try AtomicFile.write(to: "\(target)/\(name)") { writer in
                    try contents.withUnsafeBytes { try writer.write($0) }
                }
            }
        case .clip(let folder, let paddingToken):
            let vocabulary = try CLIPVocabulary(folder: folder)
            let tokens = Dictionary(
                vocabulary.tokens.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
            try TokenizerFolder(
                tokens: tokens, merges: vocabulary.text, paddingToken: paddingToken,
                contextLength: CLIPVocabulary.contextLength
            ).write(to: target)
        }
    }
}
