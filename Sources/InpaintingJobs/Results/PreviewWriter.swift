import DiffusionModels
import Failures
import Foundation
import ImageFiles

/// Writes the one-step reconstructions of a timestep side by side: unconditional, conditional, guided (Fig. 14 of the
/// paper). They show whether the repainted part and the rest agree on one picture.
struct PreviewWriter: Sendable {
    let folder: String
    /// At which the networks see what is shown.
    let size: PictureSize
    /// The prefix of the files' names, for jobs of several pictures.
    let prefix: String
    /// What stands at their end, for jobs of several cuts.
    let suffix: String

    /// What the names of previews begin with, behind their prefix.
    static let beginning = "step-"

    /// Finds out whether there can be previews in the folder, without making it: that comes with the first picture, so
    /// that a job that fails before leaves nothing.
    ///
    /// - Throws: `Failure.inputOutput`.
    static func checkWritable(_ folder: String) throws {
        guard let kind = FileKind(at: folder) else {
            return try AtomicFile.checkWritable(withoutSlash(folder))
        }
        guard kind == .folder else {
            throw Failure.inputOutput(
                "--preview \(folder): is \(kind.name); expected a folder, or a name for a new one")
        }
        try AtomicFile.checkWritable("\(folder)/preview.png")
    }

    private static func withoutSlash(_ folder: String) -> String {
        folder.count > 1 && folder.hasSuffix("/") ? String(folder.dropLast()) : folder
    }

    /// - Parameter pictures: decoded, `[3, H, W]` each at the job's size.
    func write(_ pictures: [[Float]], step: Int, timestep: Int) throws {
        try makeFolder()
        let images = try pictures.map { try RGBImage(planes: $0, width: size.width, height: size.height) }
        let name = String(format: "%@%@%03d-timestep-%03d%@.png", prefix, Self.beginning, step, timestep, suffix)
        try RGBImage.strip(images).writePNG(to: "\(folder)/\(name)")
    }

    /// Writes what networks see.
    ///
    /// - Parameter kind: of the networks, in the files' names.
    func write(maps: [ControlMap], of kind: String) throws {
        guard !maps.isEmpty else { return }
        try makeFolder()
        for (index, map) in maps.enumerated() {
            let name = "\(prefix)\(Self.beginning)000-\(kind)-\(index + 1)\(suffix).png"
            try map.picture.writePNG(to: "\(folder)/\(name)", metadata: PictureMetadata())
        }
    }

    private func makeFolder() throws {
        if FileKind(at: folder) == .folder { return }
        do {
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
        } catch {
            throw Failure.inputOutput("--preview \(folder): the folder can't be made")
        }
    }
}
