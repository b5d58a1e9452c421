import DiffusionModels
import Failures
import Foundation

extension ModelDescription {
    private static let tokenizerFiles = [
        "added_tokens.json", "merges.txt", "special_tokens_map.json", "tokenizer.json", "tokenizer_config.json",
        "vocab.json",
    ]

    /// Tells whether the model has changed, wherever it lies: the hash of all files that a job reads. Of files beyond
    /// `Fingerprint.largestWhole` a sample stands for the rest, so that it takes a fraction of a second for any model.
    ///
    /// - Throws: `Failure` if there are no weights, or a file can't be read.
    public func fingerprint() throws -> String {
        let components = ModelFolder.Component.allCases
        let tokenizer = Self.tokenizerFiles.map { "\(folder.tokenizerFolder)/\($0)" }
            .filter(FileManager.default.fileExists(atPath:))
        let small = components.map(folder.configurationPath(of:)) + [folder.schedulerConfigurationPath] + tokenizer
        let weights = try components.flatMap { try folder.weights(of: $0).files }
        return try Fingerprint.ofFiles(small + weights)
    }
}
