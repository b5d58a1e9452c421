import DiffusionModels
import Foundation
import TensorKernels
import Testing

/// The tensors of a single-file checkpoint of full size, as diffusers' own conversion names them; written by
/// scripts/reference/check_single_file.py.
struct SingleFileLayout {
    struct Row {
        let component: ModelFolder.Component
        /// As layers ask for it.
        let key: String
        /// In the file.
        let name: String
        /// The first of the tensor's rows in the file's.
        let firstRow: Int
        /// Of the file's tensor.
        let shape: [Int]
    }

    let rows: [Row]

    /// - Parameter architecture: `sd15` or `sd21`.
    init(_ architecture: String) throws {
        let path = URL(filePath: #filePath).deletingLastPathComponent().path() + "Fixtures/ldm/\(architecture).txt"
        rows = try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").map { line in
            let words = line.split(separator: " ").map(String.init)
            return Row(
                component: try #require(ModelFolder.Component(rawValue: words[0])), key: words[1], name: words[2],
                firstRow: try #require(Int(words[3])), shape: words[4].split(separator: "x").compactMap { Int($0) })
        }
    }

    /// The shapes of the file's tensors by their names.
    var shapes: [String: [Int]] { Dictionary(rows.map { ($0.name, $0.shape) }) { first, _ in first } }

    /// The same with a UNet of nine input channels.
    var inpaintingShapes: [String: [Int]] {
        shapes.merging(["model.diffusion_model.input_blocks.0.0.weight": [320, 9, 3, 3]]) { $1 }
    }

    /// CLIP's merges, where the program's sources have them.
    static let clip =
        URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .path() + "Sources/pilot/Resources/clip"
}

extension CheckpointScratch {
    /// Writes a file whose header has float16 tensors of these shapes, and whose data are a hole in the file: gigabytes
    /// that take no room.
    ///
    /// - Returns: its path.
    func writeHollow(
        _ shapes: [String: [Int]], metadata: [String: String] = [:], to name: String = "model.safetensors"
    ) throws -> String {
        var header: [String: Any] = metadata.isEmpty ? [:] : ["__metadata__": metadata]
        var end = 0
        for (name, shape) in shapes.sorted(by: { $0.key < $1.key }) {
            let begin = end
            end += 2 * shape.reduce(1, *)
            header[name] = ["dtype": "F16", "shape": shape, "data_offsets": [begin, end]] as [String: Any]
        }
        let json = try JSONSerialization.data(withJSONObject: header)
        let length = withUnsafeBytes(of: UInt64(json.count).littleEndian) { Data($0) }
        let url = folder.appending(path: name)
        try (length + json).write(to: url)
        let handle = try FileHandle(forWritingTo: url)
        try handle.truncate(atOffset: UInt64(8 + json.count + end))
        try handle.close()
        return url.path
    }

    /// Opens a hollow file.
    func single(
        _ shapes: [String: [Int]], metadata: [String: String] = [:],
        prediction: SchedulerConfiguration.PredictionType? = nil
    ) throws -> SingleFileModel {
        try SingleFileModel(
            writeHollow(shapes, metadata: metadata),
            SingleFileModel.Options(prediction: prediction, clip: SingleFileLayout.clip))
    }
}

extension ModelFiles {
    /// Has every tensor of a component looked for, without reading values.
    func check(_ component: ModelFolder.Component) throws {
        let shapes = try configuration()
        let weights = CheckpointWeights(try self.weights(of: component))
        weights.expect(ModelTensors(unet: shapes.unet, vae: shapes.vae, textEncoder: shapes.textEncoder)[component])
        try weights.finish()
    }
}
