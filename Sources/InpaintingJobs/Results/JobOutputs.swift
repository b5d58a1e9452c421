import Failures
import Foundation

/// Where a job's results go.
public struct JobOutputs: Equatable, Sendable {
    /// The PNG file.
    public var picture: String
    /// How many pictures to make, with seeds that follow each other.
    public var count = 1
    /// A PNG file that shows the result beside what it came from.
    public var comparison: String?
    /// A safetensors file for all that passes through the method.
    public var dump: String?
    /// A folder for the reconstructions on the way.
    public var preview: String?

    /// What the names of the previews begin with, if this is one picture of several.
    private var onlyPreviewPrefix = ""

    public init(picture: String) { self.picture = picture }

    /// The picture's file, `name-3.png` for the third of several.
    public func picture(_ index: Int) -> String { numbered(picture, index) }
    /// The comparison's file, numbered likewise.
    public func comparison(_ index: Int) -> String? { comparison.map { numbered($0, index) } }
    /// The dump's file, numbered likewise.
    public func dump(_ index: Int) -> String? { dump.map { numbered($0, index) } }

    /// What the names of its previews begin with.
    func previewPrefix(_ index: Int) -> String { count > 1 ? Self.previewPrefix(index) : onlyPreviewPrefix }

    /// The outputs of one of several pictures, as a job of its own writes them.
    public func only(_ index: Int) -> JobOutputs {
        guard count > 1 else { return self }
        var outputs = JobOutputs(picture: picture(index))
        outputs.comparison = comparison(index)
        outputs.dump = dump(index)
        outputs.preview = preview
        outputs.onlyPreviewPrefix = Self.previewPrefix(index)
        return outputs
    }

    private static func previewPrefix(_ index: Int) -> String { "image-\(index + 1)-" }

    /// Finds out whether the names make sense, without looking at the disk.
    ///
    /// - Parameter sources: files of the job that must not be written over.
    /// - Throws: `Failure.usage`.
    func checkNames(against sources: [String]) throws {
        guard Self.counts.contains(count) else {
            throw Failure.usage("--count: expected 1 to \(Self.counts.upperBound), found \(count)")
        }
        for (option, file) in [("--output", picture), ("--compare", comparison ?? "")] {
            let suffix = file.split(separator: ".").last?.lowercased() ?? ""
            if Self.otherFormats.contains(suffix) {
                throw Failure.usage("\(option) \(file): results are PNG files; expected a name that ends in .png")
            }
        }
        for file in allFiles where sources.contains(where: { isSame($0, file) }) {
            throw Failure.usage(
                "\(file) would be written over, and is the job's image, mask or latent; name another output")
        }
        let files = [("--output", picture), ("--compare", comparison), ("--dump", dump)]
            .compactMap { option, file in file.map { (option, $0) } }
        for (index, (option, file)) in files.enumerated() {
            for (other, same) in files[..<index] where same == file {
                throw Failure.usage("\(other) and \(option) name the same file, \(file)")
            }
        }
    }

    /// Finds out, before anything is computed, whether all of this can be written.
    ///
    /// - Throws: `Failure.inputOutput`.
    func checkWritable() throws {
        for file in allFiles { try AtomicFile.checkWritable(file) }
        if let preview {
            // The folder is made with its first picture: a job that fails before leaves nothing.
            let isThere = FileManager.default.fileExists(atPath: preview)
            try AtomicFile.checkWritable(isThere ? "\(preview)/preview.png" : preview)
        }
    }

    /// The files of all pictures; previews have a folder.
    private var allFiles: [String] {
        (0..<count).flatMap { [picture($0), comparison($0), dump($0)].compactMap { $0 } }
    }

    /// How many pictures a job may have.
    public static let counts = 1...10_000
    private static let otherFormats: Set<String> = ["jpg", "jpeg", "webp", "gif", "bmp", "tif", "tiff", "avif", "heic"]

    private func isSame(_ path: String, _ other: String) -> Bool {
        func resolved(_ path: String) -> String { URL(fileURLWithPath: path).resolvingSymlinksInPath().path }
        return resolved(path) == resolved(other)
    }

    private func numbered(_ path: String, _ index: Int) -> String {
        guard count > 1 else { return path }
        let name = path.split(separator: "/", omittingEmptySubsequences: false).last ?? ""
        let stem: Substring
        let suffix: Substring
        if let dot = name.lastIndex(of: "."), dot != name.startIndex {
            (stem, suffix) = (path[..<dot], path[dot...])
        } else {
            (stem, suffix) = (path[...], "")
        }
        return "\(stem)-\(index + 1)\(suffix)"
    }
}
