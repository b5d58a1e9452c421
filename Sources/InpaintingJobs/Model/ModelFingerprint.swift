import DiffusionModels

extension ModelDescription {
    /// Tells whether the model has changed, wherever it lies: the hash of all files that a job reads. Of files beyond
    /// `Fingerprint.largestWhole` a sample stands for the rest, so that it takes a fraction of a second for any model.
    ///
    /// The LoRAs that are merged into it count, too.
    ///
    /// - Throws: `Failure` if there are no weights, or a file can't be read.
    public func fingerprint() throws -> String {
        let weights = try ModelFolder.Component.allCases.flatMap { try files.weights(of: $0).files }
        var known: Set<String> = []
        // A single file holds all components.
        let ofModel = (files.descriptionFiles + weights).filter { known.insert($0).inserted }
        return try Fingerprint.ofFiles(ofModel + loraFiles)
    }

    /// Of each LoRA, by the name that the user gave, as of the model's own files.
    ///
    /// - Throws: `Failure` if one can't be read.
    func loraFingerprints() throws -> [String: String] {
        try loraFiles.reduce(into: [:]) { $0[$1] = try Fingerprint.ofFiles([$1]) }
    }

    /// The networks beside the model, with the options that name them, the paths or names that the user gave, and their
    /// files. An image encoder that nobody has named is known by what it is for.
    var networksBeside: [(option: String, path: String, files: [String])] {
        zip(controlNames, controls).map { ("--control", $0, $1.files) }
            + t2iAdapters.map { ("--t2i-adapter", $0.path, $0.files) }
            + zip(ipAdapterNames, ipAdapters).map { ("--ip-adapter", $0, [$1.path]) }
            + [imageEncoder].compactMap { $0 }.map {
                ("--image-encoder", namedImageEncoder ?? JobFile.purpose(of: "--image-encoder", number: 1), $0.files)
            }
    }

    /// The same of the files of each network beside the model, by its path.
    func fingerprintsBeside() throws -> [String: String] {
        try Dictionary(networksBeside.map { ($0.path, try Fingerprint.ofFiles($0.files)) }) { first, _ in first }
    }

    /// Tells whether a rank has the networks that rank 0 has, networks beside the model in their order.
    public func fingerprintOfNetworks() throws -> String {
        fingerprintOfNetworks(try fingerprint(), try fingerprintsBeside())
    }

    func fingerprintOfNetworks(_ model: String, _ beside: [String: String]) -> String {
        ([model] + networksBeside.compactMap { beside[$0.path] }).joined(separator: "+")
    }
}
