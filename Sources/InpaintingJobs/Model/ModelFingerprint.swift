import DiffusionModels

extension ModelDescription {
    /// Tells whether the model has changed, wherever it lies: the hash of all files that a job reads. Of files beyond
    /// `Fingerprint.largestWhole` a sample stands for the rest, so that it takes a fraction of a second for any model.
    ///
    /// - Throws: `Failure` if there are no weights, or a file can't be read.
    public func fingerprint() throws -> String {
        let weights = try ModelFolder.Component.allCases.flatMap { try files.weights(of: $0).files }
        var known: Set<String> = []
        // A single file holds all components.
        return try Fingerprint.ofFiles((files.descriptionFiles + weights).filter { known.insert($0).inserted })
    }
}
