import Failures
import Foundation
import ImageFiles

/// What a result's PNG file says of the job that made it: enough to do it again, and to know whether it is the same.
public struct JobRecord: Codable, Equatable, Sendable {
    public static let keyword = "pilot"
    private static let currentFormat = 1

    /// The version of this layout.
    public var format = currentFormat
    /// The version of the program.
    public var version = Version.text
    public var settings: JobSettings
    /// The contents of image, mask and initial latent, by the names under which the settings have the files.
    public var fingerprints: [String: String]
    /// The model's contents; nil in the records of versions that did not look.
    public var modelFingerprint: String?

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
        let picture = try DecodedImage.read(path)
        guard let text = picture.textChunks.first(where: { $0.keyword == Self.keyword })?.text else {
            throw Failure.badData(
                "--from \(path): holds no record of a job (a PNG text chunk named \(Self.keyword)); it was not written "
                    + "by pilot inpaint, or another program has rewritten it")
        }
        do {
            self = try JSONDecoder().decode(JobRecord.self, from: Data(text.utf8))
        } catch {
            throw Failure.badData(
                "--from \(path): its record of the job can't be read (\(Self.explanation(of: error))); it may come from "
                    + "another version, this is \(Version.text)")
        }
        guard format == Self.currentFormat else {
            throw Failure.badData(
                "--from \(path): its record has layout \(format), this version (\(Version.text)) reads layout "
                    + "\(Self.currentFormat)")
        }
    }

    /// The same without the names of files and folders, which may tell more of their owner than of the picture. The
    /// contents of the files stay known, by what they are for.
    func withoutPaths() -> JobRecord {
        var copy = self
        copy.fingerprints = [:]
        for file in JobFile.all(of: settings) {
            copy.fingerprints[String(file.option.dropFirst(2))] = fingerprints[file.path]
        }
        copy.settings.image = ""
        if !settings.takesMaskFromAlpha { copy.settings.mask = "" }
        copy.settings.initialLatent = settings.initialLatent.map { _ in "" }
        copy.settings.model = Self.name(of: settings.model)
        copy.settings.modelConfiguration = settings.modelConfiguration.map(Self.name)
        copy.settings.autoencoder = settings.autoencoder.map(Self.name)
        return copy
    }

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
        ].filter(\.1)
        guard !unnamed.isEmpty else { return }
        throw Failure.usage(
            "--from \(result): its record does not name the file of \(unnamed.map(\.0).joined(separator: ", ")), which "
                + "was read from standard input, or recorded with --no-paths; name it")
    }

    /// Whether a record's path leads to a file: it may have been left out, or stand for standard input.
    static func isName(_ path: String) -> Bool { !path.isEmpty && path != StandardInput.name }

    private func relocated(beside result: String) -> JobRecord {
        let folder = result.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(separator: "/")
        func found(_ path: String) -> String {
            guard Self.isName(path), !path.hasPrefix("/"), result.contains("/"), !isThere(path) else { return path }
            return isThere("\(folder)/\(path)") ? "\(folder)/\(path)" : path
        }
        func isThere(_ path: String) -> Bool { FileManager.default.fileExists(atPath: path) }
        var copy = self
        copy.settings.image = found(settings.image)
        if !settings.takesMaskFromAlpha { copy.settings.mask = found(settings.mask) }
        copy.settings.initialLatent = settings.initialLatent.map(found)
        copy.fingerprints = Dictionary(fingerprints.map { (found($0), $1) }) { first, _ in first }
        if settings.model != ShippedModel.name { copy.settings.model = found(settings.model) }
        copy.settings.modelConfiguration = settings.modelConfiguration.map(found)
        copy.settings.autoencoder = settings.autoencoder.map(found)
        return copy
    }

    /// Whether both are of one job on the same files and the same model, by whatever version of the program.
    public func isSameJob(as other: JobRecord) -> Bool {
        settings == other.settings && fingerprints == other.fingerprints && modelFingerprint == other.modelFingerprint
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
