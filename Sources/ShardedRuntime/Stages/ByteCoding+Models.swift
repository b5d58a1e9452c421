import DiffusionModels
import Failures
import MessagePassing

extension ByteWriter {
    package mutating func write(_ latent: Latent) {
        write(UInt32(latent.channels))
        write(UInt32(latent.height))
        write(UInt32(latent.width))
        write(latent.values)
    }

    package mutating func write(_ inputs: BranchInputs) {
        write(UInt32(inputs.tokens))
        write(UInt32(inputs.chunkLength))
        write(UInt32(inputs.width))
        write(inputs.embedding)
        write(inputs.mask)
        write(UInt8(inputs.maskedImageLatent == nil ? 0 : 1))
        if let latent = inputs.maskedImageLatent { write(latent) }
        write(UInt8(clamping: inputs.controls.count))
        for control in inputs.controls {
            write(control.scale.bitPattern)
            write(UInt8(control.guesses ? 1 : 0))
            write(UInt8(control.map == nil ? 0 : 1))
            if let map = control.map { write(map) }
        }
        write(UInt8(clamping: inputs.adapters.count))
        for adapter in inputs.adapters {
            write(adapter.scale.bitPattern)
            write(UInt8(clamping: adapter.features.count))
            for feature in adapter.features {
                write(UInt8(feature == nil ? 0 : 1))
                if let feature { write(feature) }
            }
        }
        write(UInt8(clamping: inputs.images.count))
        for image in inputs.images {
            write(image.scale.bitPattern)
            write(image.tokens)
        }
    }
}

extension ByteReader {
    package mutating func readLatent() throws -> Latent {
        let shape = [Int(try read(UInt32.self)), Int(try read(UInt32.self)), Int(try read(UInt32.self))]
        let values = try readFloats(count: try product(of: shape))
        return Latent(channels: shape[0], height: shape[1], width: shape[2], values: values)
    }

    package mutating func readInputs() throws -> BranchInputs {
        let tokens = Int(try read(UInt32.self))
        let chunkLength = Int(try read(UInt32.self))
        guard chunkLength > 0, tokens % chunkLength == 0 else {
            throw Failure.internalFault("a message claims a prompt of \(tokens) tokens in chunks of \(chunkLength)")
        }
        let width = Int(try read(UInt32.self))
        let embedding = try readFloats(count: try product(of: [tokens, width]))
        let mask = try readLatent()
        let maskedImageLatent = try readFlag() ? try readLatent() : nil
        let controls = try (0..<Int(try read(UInt8.self))).map { _ in
            let scale = Double(bitPattern: try read(UInt64.self))
            let guesses = try readFlag()
            return ControlInputs(map: try readFlag() ? try readLatent() : nil, scale: scale, guesses: guesses)
        }
        let adapters = try (0..<Int(try read(UInt8.self))).map { _ in
            let scale = Double(bitPattern: try read(UInt64.self))
            let features = try (0..<Int(try read(UInt8.self))).map { _ in try readFlag() ? try readLatent() : nil }
            return FeatureInputs(features: features, scale: scale)
        }
        let images = try (0..<Int(try read(UInt8.self))).map { _ in
            let scale = Double(bitPattern: try read(UInt64.self))
            return ImageInputs(tokens: try readLatent(), scale: scale)
        }
        return BranchInputs(
            embedding: embedding, tokens: tokens, width: width, chunkLength: chunkLength, mask: mask,
            maskedImageLatent: maskedImageLatent, controls: controls, adapters: adapters, images: images)
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
