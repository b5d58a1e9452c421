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
