import DiffusionModels
import Failures
import MessagePassing

extension ByteWriter {
    mutating func write(_ latent: Latent) {
        write(UInt32(latent.channels))
        write(UInt32(latent.height))
        write(UInt32(latent.width))
        write(latent.values)
    }

    mutating func write(_ inputs: BranchInputs) {
        write(UInt32(inputs.tokens))
        write(UInt32(inputs.width))
        write(inputs.embedding)
        write(inputs.mask)
        write(UInt8(inputs.maskedImageLatent == nil ? 0 : 1))
        if let latent = inputs.maskedImageLatent { write(latent) }
    }
}

extension ByteReader {
    mutating func readLatent() throws -> Latent {
        let shape = [Int(try read(UInt32.self)), Int(try read(UInt32.self)), Int(try read(UInt32.self))]
        let values = try readFloats(count: try product(of: shape))
        return Latent(channels: shape[0], height: shape[1], width: shape[2], values: values)
    }

    mutating func readInputs() throws -> BranchInputs {
        let tokens = Int(try read(UInt32.self))
        let width = Int(try read(UInt32.self))
        let embedding = try readFloats(count: try product(of: [tokens, width]))
        let mask = try readLatent()
        let maskedImageLatent = try read(UInt8.self) == 1 ? try readLatent() : nil
        return BranchInputs(
            embedding: embedding, tokens: tokens, width: width, mask: mask, maskedImageLatent: maskedImageLatent)
    }

    mutating func readBranch() throws -> GuidanceBranch {
        let number = try read(UInt8.self)
        guard let branch = GuidanceBranch(rawValue: Int(number)) else {
            throw Failure.internalFault("a message names the unknown guidance branch \(number)")
        }
        return branch
    }

    private func product(of shape: [Int]) throws -> Int {
        try shape.reduce(1) { product, side in
            let (result, overflows) = product.multipliedReportingOverflow(by: side)
            guard !overflows else { throw Failure.internalFault("a message claims the shape \(shape)") }
            return result
        }
    }
}
