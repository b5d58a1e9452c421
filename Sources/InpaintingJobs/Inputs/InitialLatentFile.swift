import DiffusionModels
import Failures
import TensorKernels

/// A file that holds the latent a job starts from: a safetensors file, such as another job's dump.
enum InitialLatentFile {
    private static let name = "initial_latent"
    /// The dump of a job with the steps of the paper has less, at any size.
    static let mostBytes = 1 << 30

    /// The tensor `initial_latent`, or the only one there, of `shape` `[channels, h, w]`; an axis of 1 may go before.
    ///
    /// - Throws: `Failure` naming the file, what was expected and what was found.
    static func read(_ path: String, shape: [Int]) throws -> Latent {
        let file = try SafetensorsFile(path: path)
        let only = file.tensors.count == 1 ? file.tensors.values.first : nil
        guard let tensor = file.tensors[name] ?? only else {
            throw Failure.badData(
                file: path, key: name, expected: "a tensor of that name, or one tensor alone",
                found: "\(file.tensors.count) other tensors")
        }
        guard tensor.elementType.isNetworkType else {
            throw Failure.badData(
                file: path, key: tensor.name, expected: "F32, F16 or BF16", found: tensor.elementType.rawValue)
        }
        guard tensor.shape == shape || tensor.shape == [1] + shape else {
            throw Failure.badData(
                file: path, key: tensor.name, expected: "the shape \(shape) of this job's latent",
                found: "\(tensor.shape)")
        }
        if let index = tensor.firstNonFinite {
            throw Failure.badData(
                file: path, key: tensor.name, expected: "finite numbers", found: "NaN or infinity at element \(index)")
        }
        return Latent(channels: shape[0], height: shape[1], width: shape[2], values: tensor.float32Values())
    }
}
