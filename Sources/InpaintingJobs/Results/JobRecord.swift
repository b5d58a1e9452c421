import Failures
import Foundation
import ImageFiles

/// What a result's file says of the job that made it: enough to do it again, and to know whether it is the same.
public struct JobRecord: Codable, Equatable, Sendable {
    public static let keyword = "pilot"
    private static let currentFormat = 1

    /// The version of this layout.
    public var format = currentFormat
    /// The version of the program.
    public var version = Version.text
    public var settings: JobSettings
    /// The contents of image, mask, initial latent, embeddings, LoRAs, ControlNets, adapters and the image encoder, by the names
    /// under which the settings have the files.
    public var fingerprints: [String: String]
    /// The model's contents; nil in the records of versions that did not look.
    public var modelFingerprint: String?
    /// Where the photograph was cut, for whoever wonders; it follows from settings and files. Nil for none.
    public var cuts: [PictureCut]?
    /// The jobs that made the image, the first one first, if it is a result itself; they have none of their own.
    public var edits: [JobRecord]?

    public init(settings: JobSettings, fingerprints: [String: String], modelFingerprint: String) {
        self.settings = settings
        self.fingerprints = fingerprints
        self.modelFingerprint = modelFingerprint
    }

    /// Reads the record of a job that is to be repeated. A relative path of it that leads nowhere from the working
    /// directory is looked for beside the result, too.
    ///
    /// - Throws: as `init(fromResult:)`.
    public init(repeating result: String) throws {
        self = try JobRecord(fromResult: result).relocated(beside: result)
    }

    /// Reads the record from a result.
    ///
    /// - Throws: `Failure` if the file can't be read, is no picture, or holds no record that can be understood.
    public init(fromResult path: String) throws {
        guard let text = Self.text(in: try DecodedImage.read(path)) else {
            throw Failure.badData(
                "--from \(path): holds no record of a job (a PNG text chunk, a JPEG comment or a WebP chunk, named "
                    + "\(Self.keyword)); it was not written by pilot inpaint, or another program has rewritten it")
        }
        do {
            self = try JobRecord(parsing: text)
        } catch let failure as Failure {
            throw Failure(failure.kind, "--from \(path): \(failure.message)")
        }
    }

    /// A picture's record as it is in its file, if it has one.
    static func text(in picture: DecodedImage) -> String? {
        picture.textChunks.first { $0.keyword == keyword }?.text
    }

    /// - Throws: `Failure.badData` for what is no record.
    init(parsing text: String) throws {
        do {
            self = try JSONDecoder().decode(JobRecord.self, from: Data(text.utf8))
        } catch {
            throw Failure.badData(
                "its record of the job can't be read (\(Self.explanation(of: error))); it may come from another version, "
                    + "this is \(Version.text)")
        }
        let edits = edits ?? []
        for format in [format] + edits.map(\.format) where format != Self.currentFormat {
            throw Failure.badData(
                "its record has layout \(format), this version (\(Version.text)) reads layout \(Self.currentFormat)")
        }
        guard edits.count <= Self.mostEdits, edits.allSatisfy({ $0.edits == nil }) else {
            throw Failure.badData(
                "its record's edits are not as this program writes them: \(Self.mostEdits) at most, and none within another"
            )
        }
    }

    /// The same without the names of files and folders, which may tell more of their owner than of the picture. The
    /// contents of the files stay known, by what they are for.
    package func withoutPaths() -> JobRecord {
        var copy = self
        copy.fingerprints = [:]
        for file in JobFile.all(of: settings) {
            copy.fingerprints[file.purpose] = fingerprint(of: file)
        }
        for network in settings.networks {
            copy.fingerprints[network.purpose] = fingerprints[network.path] ?? fingerprints[network.purpose]
        }
        let encoder = JobFile.purpose(of: "--image-encoder", number: 1)
        if settings.imageEncoder == nil { copy.fingerprints[encoder] = fingerprints[encoder] }
        copy.settings = settings.renamingNetworks(Self.name, pictures: { _ in "" })
        copy.edits = edits?.map { $0.withoutPaths() }
        copy.settings.image = ""
        if !settings.takesMaskFromAlpha { copy.settings.mask = "" }
        copy.settings.initialLatent = settings.initialLatent.map { _ in "" }
        copy.settings.model = Self.name(of: settings.model)
        copy.settings.modelConfiguration = settings.modelConfiguration.map(Self.name)
        copy.settings.autoencoder = settings.autoencoder.map(Self.name)
        copy.settings.embedding = settings.embedding?.map {
            EmbeddingChoice(file: Self.name(of: $0.file), token: $0.token)
        }
        return copy
    }

    /// Of the contents that a file had; without paths it is known by what it is for.
    func fingerprint(of file: JobFile) -> String? { fingerprints[file.path] ?? fingerprints[file.purpose] }

    /// The last part of a path.
    private static func name(of path: String) -> String { path.split(separator: "/").last.map(String.init) ?? path }

    /// Finds out whether whoever repeats the job has named the files that its record does not name.
    ///
    /// - Parameter draft: what is known of the new job.
    /// - Throws: `Failure.usage` naming the options.
    public func checkNames(in draft: JobDraft, from result: String) throws {
        let unnamed = [
            ("--image", draft.image == nil), ("--mask", draft.mask == nil),
            ("--initial-latent", draft.settings.initialLatent == ""),
            ("--control-image", draft.settings.controls?.contains { $0.image == "" } ?? false),
            ("--ip-adapter-image", draft.settings.ipAdapters?.contains { $0.image.isEmpty } ?? false),
            ("--t2i-adapter-image", draft.settings.t2iAdapters?.contains { $0.image == "" } ?? false),
        ].filter(\.1)
        guard !unnamed.isEmpty else { return }
        throw Failure.usage(
            "--from \(result): its record does not name the file of \(unnamed.map(\.0).joined(separator: ", ")), which "
                + "was read from standard input, or recorded with --no-paths; name it")
    }

    /// Whether a record's path leads to a file: it may have been left out, or stand for standard input.
    static func isName(_ path: String) -> Bool { !path.isEmpty && path != StandardInput.name }

    /// With paths that lead nowhere from the working directory, and somewhere from the result's folder, as they are from
    /// here. The edits before stay as they are recorded.
    func relocated(beside result: String) -> JobRecord {
        let folder = result.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
        func found(_ path: String) -> String {
            guard Self.isName(path), !path.hasPrefix("/"), result.contains("/"), !isThere(path),
                ShippedNetwork(rawValue: path) == nil
            else { return path }
            return isThere("\(folder)/\(path)") ? "\(folder)/\(path)" : path
        }
        func isThere(_ path: String) -> Bool { FileManager.default.fileExists(atPath: path) }
        var copy = self
        copy.settings = settings.renamingNetworks(found, pictures: found)
        copy.settings.image = found(settings.image)
        if !settings.takesMaskFromAlpha { copy.settings.mask = found(settings.mask) }
        copy.settings.initialLatent = settings.initialLatent.map(found)
        copy.fingerprints = Dictionary(fingerprints.map { (found($0), $1) }) { first, _ in first }
        if settings.model != ShippedModel.name { copy.settings.model = found(settings.model) }
        copy.settings.modelConfiguration = settings.modelConfiguration.map(found)
        copy.settings.autoencoder = settings.autoencoder.map(found)
        copy.settings.embedding = settings.embedding?.map { EmbeddingChoice(file: found($0.file), token: $0.token) }
        return copy
    }

    /// Whether both are of one job on the same files and the same model, by whatever version of the program.
    public func isSameJob(as other: JobRecord) -> Bool {
        settings == other.settings && fingerprints == other.fingerprints && modelFingerprint == other.modelFingerprint
    }

    /// As `isSameJob`, whatever the image has in it; `other` may leave the area to the program.
    func isSameJobOnAnyImage(as other: JobRecord) -> Bool {
        func onAnyImage(_ record: JobRecord) -> JobRecord {
            var copy = record
            for name in [record.settings.image, JobFile.image(record.settings).purpose] {
                copy.fingerprints[name] = nil
            }
            guard other.settings.area == .auto else { return copy }
            (copy.settings.area, copy.settings.areaPadding, copy.settings.areaEach) = (nil, nil, nil)
            return copy
        }
        return onAnyImage(self).isSameJob(as: onAnyImage(other))
    }

    /// The PNG text chunk. The same record gives the same bytes.
    public func textChunk() throws -> TextChunk {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return TextChunk(keyword: Self.keyword, text: String(decoding: try encoder.encode(self), as: UTF8.self))
    }

    private static func explanation(of error: any Error) -> String {
        switch error {
        case DecodingError.keyNotFound(let key, _): "no \(key.stringValue)"
        case DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context),
            DecodingError.dataCorrupted(let context):
            context.codingPath.isEmpty
                ? "not the JSON expected" : "bad \(context.codingPath.map(\.stringValue).joined(separator: "."))"
        default: "not the JSON expected"
        }
    }
}
