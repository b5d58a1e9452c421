import Failures
import Foundation

/// Where a job's results go.
public struct JobOutputs: Equatable, Sendable {
    /// The file, of the kind that its name ends in; `-` is standard output, for a PNG file.
    public var picture: String
    /// How many pictures to make, with seeds that follow each other.
    public var count = 1
    /// A PNG file that shows the result beside what it came from.
    public var comparison: String?
    /// A safetensors file for all that passes through the method.
    public var dump: String?
    /// A folder for the reconstructions on the way.
    public var preview: String?
    /// Whether the picture's record names the files that the job reads.
    public var recordsPaths = true

    /// What the names of the previews begin with, if this is one picture of several.
    private var onlyPreviewPrefix = ""

    public init(picture: String) { self.picture = picture }

    /// What stands for standard output where the picture's file is named.
    static let standardOutput = "-"

    /// Whether the picture goes to standard output, and nothing else may.
    public var takesStandardOutput: Bool { picture == Self.standardOutput }

    /// What kind of file the picture's is.
    public var format: ResultFormat { ResultFormat(ofFile: picture) }

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
        outputs.recordsPaths = recordsPaths
        outputs.onlyPreviewPrefix = Self.previewPrefix(index)
        return outputs
    }

    private static func previewPrefix(_ index: Int) -> String { "image-\(index + 1)-" }

    /// Finds out whether the names make sense, and whether each is a file of its own.
    ///
    /// - Parameter files: has what the command reads, and gets what it will write.
    /// - Throws: `Failure.usage`.
    func checkNames(in files: inout FileClaims) throws {
        guard Self.counts.contains(count) else {
            throw Failure.usage("--count: expected 1 to \(Self.counts.upperBound), found \(count)")
        }
        try ResultFormat.checkResult(picture)
        if let comparison { try ResultFormat.checkPNG(comparison, by: "--compare", "comparisons") }
        for (option, file) in [("--compare", comparison), ("--dump", dump), ("--preview", preview)]
        where file == Self.standardOutput {
            throw Failure.usage("\(option) -: standard output takes the picture alone, by --output -; name a file")
        }
        guard count == 1 || !takesStandardOutput else {
            throw Failure.usage("--output -: standard output takes one picture, and --count asks for \(count)")
        }
        for index in 0..<count {
            if !takesStandardOutput { try files.write(picture(index), by: "--output") }
            try files.write(comparison(index), by: "--compare")
            try files.write(dump(index), by: "--dump")
        }
        try files.write(
            filesIn: preview, beginning: (0..<count).map { previewPrefix($0) + PreviewWriter.beginning },
            by: "--preview")
    }

    /// Finds out whether something would be written over.
    ///
    /// - Throws: `Failure.usage` naming what is there already.
    func checkAreNew() throws {
        let previews = preview.map { previewsPresent(in: $0) } ?? []
        try AtomicFile.checkAreNew(allFiles + previews)
    }

    /// Finds out, before anything is computed, whether all of this can be written.
    ///
    /// - Throws: `Failure.inputOutput`.
    func checkWritable() throws {
        if takesStandardOutput { try StandardOutput.checkTakesFile() }
        for file in allFiles { try AtomicFile.checkWritable(file) }
        if let preview { try PreviewWriter.checkWritable(preview) }
    }

    /// The files of all pictures; previews have a folder, and standard output is none.
    private var allFiles: [String] {
        (0..<count).flatMap { index in
            [takesStandardOutput ? nil : picture(index), comparison(index), dump(index)].compactMap { $0 }
        }
    }

    /// Files that have names of this job's previews.
    private func previewsPresent(in folder: String) -> [String] {
        let beginnings = Set((0..<count).map { previewPrefix($0) + PreviewWriter.beginning })
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return names.sorted().filter { name in
            guard let end = name.range(of: PreviewWriter.beginning)?.upperBound else { return false }
            return beginnings.contains(String(name[..<end]))
        }.map { "\(folder)/\($0)" }
    }

    /// How many pictures a job may have.
    public static let counts = 1...10_000

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
