import DiffusionModels

/// Blended latent diffusion (Eq. 16): outside the mask the latent is the image's, noised to the timestep.
public enum Blending {
    /// `background` where the mask is 0, `foreground` where it is 1, in every channel.
    ///
    /// - Precondition: equal shapes, and the mask's height and width.
    public static func blend(foreground: Latent, background: Latent, mask: LatentMask) -> Latent {
        precondition(foreground.shape == background.shape, "blended latents must have one shape")
        precondition(mask.height == foreground.height && mask.width == foreground.width)
        var result = foreground
        let plane = foreground.planeCount
        for index in result.values.indices where mask.values[index % plane] == 0 {
            result.values[index] = background.values[index]
        }
        return result
    }
}
