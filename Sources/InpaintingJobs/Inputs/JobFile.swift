import Failures
import ImageFiles

/// A file that a job reads.
struct JobFile {
    /// The option that names it.
    let option: String
    /// As the user typed it; `-` is standard input.
    let path: String
    /// Which of the option's files it is, 1 for the first.
    private(set) var number = 1
    private let expected: String
    private let mostBytes: Int

    /// All that a job reads beside its model.
    static func all(of settings: JobSettings) -> [JobFile] {
        let files =
            [image(settings)] + [mask(settings), initialLatent(settings)].compactMap { $0 }
            + (settings.embedding ?? []).map(embedding)
            + (settings.controls ?? []).indices.compactMap { controlImage($0, settings) }
            + (settings.t2iAdapters ?? []).indices.compactMap { t2iAdapterImage($0, settings) }
            + (settings.ipAdapters ?? []).map(ipAdapterImage)
        var counts: [String: Int] = [:]
        return files.map { file in
            var file = file
            counts[file.option, default: 0] += 1
            file.number = counts[file.option, default: 1]
            return file
        }
    }

    /// The picture of ControlNet `index`, if it is not the photograph.
    static func controlImage(_ index: Int, _ settings: JobSettings) -> JobFile? {
        settings.controls?[index].image.map { picture("--control-image", $0) }
    }

    /// The same of T2I-Adapter `index`.
    static func t2iAdapterImage(_ index: Int, _ settings: JobSettings) -> JobFile? {
        settings.t2iAdapters?[index].image.map { picture("--t2i-adapter-image", $0) }
    }

    /// The picture that an IP-Adapter shows.
    static func ipAdapterImage(_ adapter: IPAdapterSettings) -> JobFile { picture("--ip-adapter-image", adapter.image) }

    static func image(_ settings: JobSettings) -> JobFile { picture("--image", settings.image) }
    /// Nil where the photograph itself has the mask.
    static func mask(_ settings: JobSettings) -> JobFile? {
        settings.takesMaskFromAlpha ? nil : picture("--mask", settings.mask)
    }

    static func initialLatent(_ settings: JobSettings) -> JobFile? {
        settings.initialLatent.map { path in
            JobFile(
                option: "--initial-latent", path: path, expected: "a safetensors file",
                mostBytes: InitialLatentFile.mostBytes)
        }
    }

    static func embedding(_ choice: EmbeddingChoice) -> JobFile {
        JobFile(
            option: "--embedding", path: choice.file, expected: "a safetensors file", mostBytes: mostBytesOfEmbedding)
    }

    /// A chunk full of the widest vectors is far below.
    private static let mostBytesOfEmbedding = 64 << 20

    private static func picture(_ option: String, _ path: String) -> JobFile {
        JobFile(
            option: option, path: path, expected: ImageLimits.expectation,
            mostBytes: ImageLimits.standard.fileBytes)
    }

    /// What it is for, in a word: `image`, `control-image-2`.
    var purpose: String { Self.purpose(of: option, number: number) }

    /// - Parameter number: of several of the option, 1 for the first.
    static func purpose(of option: String, number: Int) -> String {
        option.dropFirst(2) + (number > 1 ? "-\(number)" : "")
    }

    var isStandardInput: Bool { path == StandardInput.name }

    /// What messages call it.
    var name: String { isStandardInput ? "standard input" : path }

    /// The whole file, and its fingerprint.
    ///
    /// - Parameter recorded: the job that is repeated, if one is.
    /// - Throws: `Failure` if the file is not there, too large, or has changed since it was recorded.
    func contents(repeating recorded: JobRecord?) throws -> (bytes: [UInt8], fingerprint: String) {
        if isStandardInput {
            let bytes = try StandardInput.contents(expected: expected, atMost: mostBytes)
            return (bytes, Fingerprint.of(bytes))
        }
        let file = try opened(repeating: recorded)
        let bytes = try file.read(atMost: file.byteCount)
        let fingerprint = Fingerprint.of(bytes)
        try checkIsUnchanged(fingerprint, since: recorded)
        return (bytes, fingerprint)
    }

    /// As `contents`, without holding the file in memory.
    func fingerprint(repeating recorded: JobRecord?) throws -> String {
        let fingerprint = try Fingerprint.of(try opened(repeating: recorded))
        try checkIsUnchanged(fingerprint, since: recorded)
        return fingerprint
    }

    /// Of the picture that the file begins with; it may lie on its side.
    ///
    /// - Throws: `Failure` if the file is not there, too large, or no picture.
    func pictureSize() throws -> PictureSize {
        let file = try opened(repeating: nil)
        let (width, height) = try DecodedImage.storedSize(try file.read(atMost: file.byteCount), path: path)
        return PictureSize(width: width, height: height)
    }

    /// Finds out whether the file is there and not too large, without reading it.
    ///
    /// - Parameter name: what names the file, for messages.
    /// - Throws: `Failure`.
    func check(calledBy name: String) throws { _ = try opened(calledBy: name, repeating: nil) }

    private func opened(calledBy name: String? = nil, repeating recorded: JobRecord?) throws -> RegularFile {
        do {
            return try RegularFile(path, expected: expected, atMost: mostBytes)
        } catch let failure as Failure {
            let isRecorded = recorded?.fingerprints[path] != nil && failure.kind == .missingInput
            let advice = isRecorded ? ", the file of the recorded job; name it with \(option)" : ""
            throw Failure(failure.kind, "\(name ?? option): \(failure.message)\(advice)")
        }
    }

    private func checkIsUnchanged(_ fingerprint: String, since recorded: JobRecord?) throws {
        guard let expected = recorded?.fingerprints[path], expected != fingerprint else { return }
        throw Failure.badData(
            "\(option) \(path): has changed since the recorded job was run (its contents have the hash "
                + "\(fingerprint), then \(expected)); bring the old file back, or copy the new one and name the copy "
                + "with \(option)")
    }
}
