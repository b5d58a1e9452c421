import DiffusionModels
import Failures
import Foundation
import ImageFiles

/// Writes the one-step reconstructions of a timestep side by side: unconditional, conditional, guided (Fig. 14 of the
/// paper). They show whether the repainted part and the rest agree on one picture.
struct PreviewWriter: Sendable {
    let folder: String
    let geometry: JobGeometry
    /// The prefix of the files' names, for jobs of several pictures.
    let prefix: String

    /// - Parameter pictures: decoded, `[3, H, W]` each at the job's size.
    func write(_ pictures: [[Float]], step: Int, timestep: Int) throws {
        try makeFolder()
        let size = geometry.picture
        let images = try pictures.map { try RGBImage(planes: $0, width: size.width, height: size.height) }
        let name = String(format: "%@step-%03d-timestep-%03d.png", prefix, step, timestep)
        try RGBImage.strip(images).writePNG(to: "\(folder)/\(name)")
    }

    private func makeFolder() throws {
        var isFolder: ObjCBool = false
        if FileManager.default.fileExists(atPath: folder, isDirectory: &isFolder), isFolder.boolValue { return }
        do {
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
        } catch {
            throw Failure.inputOutput("--preview \(folder): the folder can't be made")
        }
    }
}
