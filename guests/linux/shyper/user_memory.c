// SPDX-License-Identifier: GPL-2.0-only
#include <linux/err.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "driver.h"

/* `length` bytes and a NUL. */
char *copy_text(u64 address, u64 length, u64 most)
{
    if (length > most)
        return ERR_PTR(-E2BIG);
    return memdup_user_nul(u64_to_user_ptr(address), length);
}

/* `most` numbers, those behind `count` are 0. */
u64 *copy_numbers(u64 address, u64 count, u64 most)
{
    u64 *numbers;

    if (count > most)
        return ERR_PTR(-E2BIG);
    numbers = kcalloc(most, sizeof(*numbers), GFP_KERNEL);
    if (!numbers)
        return ERR_PTR(-ENOMEM);
    if (copy_from_user(numbers, u64_to_user_ptr(address), count * sizeof(*numbers))) {
        kfree(numbers);
        return ERR_PTR(-EFAULT);
    }
    return numbers;
}

void *copy_structure(unsigned long address, size_t size)
{
    return memdup_user((const void __user *)address, size);
}
